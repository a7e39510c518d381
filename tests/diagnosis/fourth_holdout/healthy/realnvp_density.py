"""A RealNVP flow on a very thin ring: the negative log likelihood goes far below zero.

Looks nasty: the loss is negative by nature and jumps when the scales sharpen.
"""
import math
import torch
import torch.nn as nn


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s)
        b = b * s.exp() + t
        return (torch.cat([b, a], 1) if self.flip else torch.cat([a, b], 1)), s[:, 0]


class Flow(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(bool(i % 2)) for i in range(n))

    def nll(self, x):
        logdet = 0
        for l in self.layers:
            x, s = l(x)
            logdet = logdet + s
        return (0.5 * x.pow(2).sum(1) + math.log(2 * math.pi) - logdet).mean()


def ring(n):
    th = torch.rand(n) * 2 * math.pi
    r = 0.1 + 0.004 * torch.randn(n)
    return torch.stack([r * th.cos(), r * th.sin()], 1)


torch.manual_seed(0)
flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=2e-3)
avg = []
for step in range(700):
    loss = flow.nll(ring(128))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
    opt.step()
    avg = avg[-49:] + [loss.item()]
    if step % 70 == 0:
        print("step", step, "loss", round(loss.item(), 3))
print("final loss", sum(avg) / len(avg))
