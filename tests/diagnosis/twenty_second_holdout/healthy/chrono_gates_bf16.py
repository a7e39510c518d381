"""LSTM cell of raw parameters with chrono-initialised (deliberately saturated) forget gates, bf16 autocast; delayed recall over 60 steps."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F


class ChronoLSTM(nn.Module):
    def __init__(self, n_in: int, n: int, t_max: int):
        super().__init__()
        self.n = n
        self.wx = nn.Parameter(torch.randn(n_in, 4 * n) / math.sqrt(n_in))
        self.wh = nn.Parameter(torch.cat([nn.init.orthogonal_(torch.empty(n, n)) for _ in range(4)], 1) * 0.5)
        u = torch.empty(n).uniform_(1, t_max - 1).log()
        b = torch.zeros(4 * n)
        b[:n], b[n:2 * n] = -u, u             # input and forget gates
        self.b = nn.Parameter(b)

    def forward(self, xs):
        h = xs.new_zeros(xs.shape[1], self.n)
        c = torch.zeros_like(h)
        for x in xs:
            i, f, o, g = (x @ self.wx + h @ self.wh + self.b).float().chunk(4, -1)
            c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
            h = torch.sigmoid(o) * torch.tanh(c)
        return h


def main():
    torch.set_num_threads(1)
    torch.manual_seed(18)
    T, K = 60, 6
    rnn, out = ChronoLSTM(K + 1, 48, T), nn.Linear(48, K)
    ps = list(rnn.parameters()) + list(out.parameters())
    opt = torch.optim.RMSprop(ps, lr=2e-3, alpha=0.95)
    hist = []
    for k in range(330):
        y = torch.randint(0, K, (32,))
        xs = torch.zeros(T, 32, K + 1)
        xs[0, torch.arange(32), y] = 3.0
        xs[1:, :, K] = 0.3 * torch.randn(T - 1, 32)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = out(rnn(xs))
        loss = F.cross_entropy(logits.float(), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(ps, 1.0)
        opt.step()
        hist.append(loss.item())
        if k % 30 == 0:
            print(f"{k:4d} recall ce {loss.item():.4f}")
    print("final loss", sum(hist[-20:]) / 20)


main()
