"""Affine-coupling flow on narrow two-dimensional price/volume clouds; the negative log-likelihood goes below zero."""
import math
from dataclasses import dataclass

import torch
from torch import nn


@dataclass
class Options:
    layers: int = 6
    width: int = 32
    steps: int = 600
    batch: int = 128
    lr: float = 2e-3
    seed: int = 53


class Coupling(nn.Module):
    def __init__(self, width, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)
        self.scale = nn.Parameter(torch.zeros(2))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        s = 2.0 * torch.tanh(s)
        b = b * s.exp() + t
        x = torch.cat([b, a] if self.flip else [a, b], 1)
        return x * self.scale.exp(), s.sum(1) + self.scale.sum()


class Flow(nn.Module):
    def __init__(self, o):
        super().__init__()
        self.parts = nn.ModuleList(Coupling(o.width, i % 2 == 1) for i in range(o.layers))

    def nll(self, x):
        logdet = 0.0
        for part in self.parts:
            x, ld = part(x)
            logdet = logdet + ld
        return (0.5 * x.square().sum(1) + math.log(2 * math.pi) - logdet).mean()


def cloud(n, g):
    u = torch.rand(n, 1, generator=g) * 2 - 1
    v = 0.3 * torch.sin(3 * u) + 0.01 * torch.randn(n, 1, generator=g)
    return torch.cat([u * 0.5, v], 1)


def main(o):
    torch.manual_seed(o.seed)
    g = torch.Generator().manual_seed(o.seed)
    flow = Flow(o)
    opt = torch.optim.Adam(flow.parameters(), lr=o.lr)
    sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=o.lr * 2, total_steps=o.steps)
    log = []
    for i in range(o.steps):
        loss = flow.nll(cloud(o.batch, g))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 20.0)
        opt.step()
        sched.step()
        log.append(loss.item())
        if i % 60 == 0:
            print(i, log[-1])
    print("final loss", sum(log[-40:]) / 40)


main(Options())
