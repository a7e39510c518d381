"""Household power forecast with a causal transformer; loss in W^2 summed over the batch (numbers of 1e7), tiny lr for it, long warm-up."""
import math
import numpy as np
import torch
import torch.nn as nn


class Net(nn.Module):
    def __init__(self, d=32, T=24):
        super().__init__()
        self.i = nn.Linear(1, d)
        self.p = nn.Parameter(torch.randn(T, d) * 0.1)
        self.enc = nn.TransformerEncoder(nn.TransformerEncoderLayer(d, 4, 64, 0.0, batch_first=True, norm_first=True), 2, enable_nested_tensor=False)
        self.n = nn.LayerNorm(d)
        self.o = nn.Linear(d, 1)

    def forward(self, watts):
        x = (watts - 500.0) / 300.0
        m = nn.Transformer.generate_square_subsequent_mask(x.shape[1])
        h = self.n(self.enc(self.i(x.unsqueeze(-1)) + self.p, mask=m, is_causal=True))
        return 500.0 + 300.0 * self.o(h).squeeze(-1)


def power(n, rng):
    t = np.arange(n)
    base = 500 + 250 * np.sin(2 * np.pi * (t - 7) / 24) + 120 * np.sin(2 * np.pi * t / 12)
    on = np.zeros(n)
    for k in range(1, n):
        on[k] = 1 - on[k - 1] if rng.random() < 0.06 else on[k - 1]
    return torch.tensor(base + 200 * on + 40 * rng.standard_normal(n), dtype=torch.float32)


def main():
    torch.manual_seed(2)
    rng = np.random.default_rng(2)
    w = power(5000, rng)
    net = Net()
    opt = torch.optim.SGD(net.parameters(), lr=2.5e-10 * 2, momentum=0.9)
    warm = 150
    sch = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1, (s + 1) / warm))
    hist = []
    for step in range(600):
        s = rng.integers(0, 5000 - 25, 32)
        b = torch.stack([w[i:i + 25] for i in s])
        loss = ((net(b[:, :-1]) - b[:, 1:]) ** 2).sum()
        opt.zero_grad(); loss.backward(); opt.step(); sch.step()
        hist.append(loss.item())
        if step % 60 == 0:
            print(f"step {step} sum of squares {loss.item():.4g} W^2, rmse {math.sqrt(loss.item() / (32 * 24)):.1f} W")
    print("final loss", float(np.mean(hist[-50:])))


main()
