"""RealNVP flow on two moons with tiny noise; the likelihood loss turns negative and single batches spike."""
import math
import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, flip, h=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = x.unbind(1) if not self.flip else x.flip(1).unbind(1)
        s, t = self.net(a[:, None]).unbind(1)
        s = 2 * torch.tanh(s / 2)
        y = torch.stack([a, b * s.exp() + t], 1)
        return (y.flip(1) if self.flip else y), s


class RealNVP(nn.Module):
    def __init__(self, n=6):
        super().__init__()
        self.parts = nn.ModuleList(Coupling(i % 2 == 1) for i in range(n))

    def nll(self, x):
        ld = 0
        for p in self.parts:
            x, s = p(x)
            ld = ld + s
        return (0.5 * (x ** 2).sum(1) + math.log(2 * math.pi) - ld).mean()


def moons(n, g):
    a = math.pi * torch.rand(n, generator=g)
    up = torch.rand(n, generator=g) < 0.5
    p = torch.where(up[:, None], torch.stack([a.cos(), a.sin()], 1), torch.stack([1 - a.cos(), 0.5 - a.sin()], 1))
    return (p - torch.tensor([0.5, 0.25])) * 0.4 + 0.01 * torch.randn(n, 2, generator=g)


if __name__ == "__main__":
    torch.manual_seed(3)
    g = torch.Generator().manual_seed(4)
    flow = RealNVP()
    opt = torch.optim.Adam(flow.parameters(), lr=2e-3)
    sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 600)
    h = []
    for i in range(600):
        loss = flow.nll(moons(192, g))
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(flow.parameters(), 10.0)
        opt.step()
        sch.step()
        h.append(loss.item())
        if i % 100 == 0:
            print(i, h[-1])
    print("final loss", sum(h[-30:]) / 30)
