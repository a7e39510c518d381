"""Conditional U-shaped residual MLP denoiser for lidar returns; Adam variant that refreshes its variance lazily to save bandwidth.

Cause: stale-second-moment
Fails: the loss is not finite from backward call 5 on (counted from 0, of 1800); the final value is nan
"""
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class OptimConfig:
    lr: float = 2e-3
    b1: float = 0.9
    b2: float = 0.98
    eps: float = 1e-8
    refresh_every: int = 50  # fix: refresh_every: int = 1


class LazyAdam:
    def __init__(self, params, cfg):
        self.params, self.cfg, self.t, self.refreshes = list(params), cfg, 0, 0
        self.m = [torch.zeros_like(p) for p in self.params]
        self.v = [torch.zeros_like(p) for p in self.params]

    def zero_grad(self):
        for p in self.params:
            p.grad = None

    @torch.no_grad()
    def step(self):
        c = self.cfg
        refresh = self.t % c.refresh_every == 0
        self.t += 1
        self.refreshes += refresh
        for p, m, v in zip(self.params, self.m, self.v):
            m.mul_(c.b1).add_(p.grad, alpha=1 - c.b1)
            if refresh:
                v.mul_(c.b2).addcmul_(p.grad, p.grad, value=1 - c.b2)
            denom = (v / (1 - c.b2 ** self.refreshes)).sqrt() + c.eps
            p.addcdiv_(m / (1 - c.b1 ** self.t), denom, value=-c.lr)


class Denoiser(nn.Module):
    def __init__(self, d=32, h=64):
        super().__init__()
        self.down, self.mid, self.up = nn.Linear(d, h), nn.Linear(h, h), nn.Linear(2 * h, d)

    def forward(self, x):
        a = torch.relu(self.down(x))
        b = torch.relu(self.mid(a))
        return self.up(torch.cat([a, b], -1))


def scans(n, g):
    t = torch.linspace(0, 1, 32)
    pos, dist = torch.rand(n, 1, generator=g), 0.5 + 2 * torch.rand(n, 1, generator=g)
    clean = dist + torch.where((t - pos).abs() < 0.15, -0.4 * dist, 0.0)
    return clean - 1.5 + 0.4 * torch.randn(n, 32, generator=g), clean - 1.5


def main():
    torch.manual_seed(23)
    g = torch.Generator().manual_seed(24)
    net = Denoiser()
    opt = LazyAdam(net.parameters(), OptimConfig())
    hist = []
    for it in range(1800):
        x, y = scans(128, g)
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if it % 300 == 0:
            print(it, hist[-1])
    print("final loss", sum(hist[-30:]) / 30)


main()
