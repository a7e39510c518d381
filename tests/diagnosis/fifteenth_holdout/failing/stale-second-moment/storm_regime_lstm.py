"""A two-layer LSTM forecasts wind in calm and stormy weeks with an Adam that refreshes its second moment now and then.

Cause: stale-second-moment
Fails: the second moment is measured once, while the zero-initialised head lets no gradient through, and is then used for a hundred steps; the LSTM's updates are enormous
"""
import torch
from torch import nn


class LazyAdam(torch.optim.Optimizer):
    def __init__(self, params, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, refresh=100):
        super().__init__(params, dict(lr=lr, betas=betas, eps=eps, refresh=refresh))

    @torch.no_grad()
    def step(self, closure=None):
        for g in self.param_groups:
            b1, b2 = g["betas"]
            for p in g["params"]:
                s = self.state[p]
                if not s:
                    s.update(t=0, seen=0, m=torch.zeros_like(p), v=torch.zeros_like(p))
                s["m"].lerp_(p.grad, 1 - b1)
                if s["t"] % g["refresh"] == 0:
                    s["v"].lerp_(p.grad ** 2, 1 - b2)
                    s["seen"] += 1
                s["t"] += 1
                denom = (s["v"] / (1 - b2 ** s["seen"])).sqrt() + g["eps"]
                p.addcdiv_(s["m"] / (1 - b1 ** s["t"]), denom, value=-g["lr"])


def wind(n, seed):
    g = torch.Generator().manual_seed(seed)
    x = torch.zeros(n)
    for i in range(2, n):
        x[i] = 1.5 * x[i - 1] - 0.7 * x[i - 2] + 0.25 * torch.randn((), generator=g)
    week = (torch.arange(n) // 168) % 2
    return x * torch.where(week == 0, 0.4, 1.3)


class Forecaster(nn.Module):
    def __init__(self, h=24):
        super().__init__()
        self.rnn = nn.LSTM(1, h, 2, batch_first=True)
        self.out = nn.Linear(h, 1)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, x):
        return self.out(self.rnn(x.unsqueeze(-1))[0]).squeeze(-1)


def main():
    torch.manual_seed(30)
    series = wind(3000, 30)
    net = Forecaster()
    opt = LazyAdam(net.parameters(), lr=4e-3, refresh=100)  # fix: opt = LazyAdam(net.parameters(), lr=4e-3, refresh=1)
    losses = []
    for k in range(300):
        s = torch.randint(0, len(series) - 26, (24,))
        w = series[s[:, None] + torch.arange(26)]
        loss = nn.functional.mse_loss(net(w[:, :-1]), w[:, 1:])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
        if k % 50 == 0:
            print(k, losses[-1])
    print("final loss", sum(losses[-40:]) / 40)


main()
