"""Bidirectional LSTM imputing ICU vitals; the raw arrays are full of NaN by design and masked out."""
import torch
from torch import nn


def ward(n, T=36):
    t = torch.arange(T)[None, :, None] / T
    base = torch.randn(n, 1, 3)
    x = base + torch.sin(6.283 * (t * (1 + torch.rand(n, 1, 1)) + torch.rand(n, 1, 1))) * torch.tensor([1.0, -0.7, 0.4])
    full = x + 0.05 * torch.randn_like(x)
    seen = torch.rand(n, T, 3) < 0.6
    return torch.where(seen, full, torch.nan)


class Imputer(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(6, 40, batch_first=True, bidirectional=True)
        self.out = nn.Linear(80, 3)

    def forward(self, x, m):
        z = torch.cat([torch.where(m, x, 0.0), m.float()], -1)
        return self.out(self.rnn(z)[0])


def main():
    torch.manual_seed(33)
    data = ward(800)
    net = Imputer()
    opt = torch.optim.AdamW(net.parameters(), lr=5e-3)
    run = []
    for step in range(240):
        x = data[torch.randint(0, 800, (48,))]
        obs = ~torch.isnan(x)
        hide = obs & (torch.rand(x.shape) < 0.25)
        pred = net(x, obs & ~hide)
        loss = (pred - x)[hide].pow(2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        run.append(loss.item())
        if step % 40 == 0:
            print("step", step, "masked mse", run[-1])
    print("final loss", sum(run[-20:]) / 20)


main()
