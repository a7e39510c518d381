"""Collision classifier for a physics engine: 16 layer MLP with squashing units, exported to a lookup shader.

Cause: vanishing-depth
Fails: final value 0.6762 (with the fix 0.2392); largest backward loss 0.8591 at call 79, first 0.7383
"""
import torch
from torch import nn

ACTS = {"sigmoid": nn.Sigmoid, "tanh": nn.Tanh, "silu": nn.SiLU}


class Layer(nn.Module):
    def __init__(self, d, act):
        super().__init__()
        self.lin, self.act, self.norm = nn.Linear(d, d), ACTS[act](), nn.LayerNorm(d)

    def forward(self, x):
        return self.act(self.lin(x))  # fix: return x + self.act(self.lin(self.norm(x)))


class CollisionNet(nn.Module):
    def __init__(self, d=40, n=16, act="sigmoid"):
        super().__init__()
        self.inp = nn.Linear(8, d)
        self.layers = nn.ModuleList(Layer(d, act) for _ in range(n))
        self.out = nn.Sequential(nn.LayerNorm(d), nn.Linear(d, 1))

    def forward(self, x):
        x = self.inp(x)
        for l in self.layers:
            x = l(x)
        return self.out(x).squeeze(-1)


def pairs(n, g):
    # two moving discs: position and velocity; do they meet within one second?
    s = torch.randn(n, 8, generator=g)
    dp, dv = s[:, :2] - s[:, 2:4], s[:, 4:6] - s[:, 6:8]
    tstar = (-(dp * dv).sum(1) / (dv * dv).sum(1).clamp(min=1e-3)).clamp(0, 1)
    gap = (dp + tstar[:, None] * dv).norm(dim=1)
    return s, (gap < 1.1).float()


def main():
    torch.manual_seed(101)
    g = torch.Generator().manual_seed(102)
    net = CollisionNet()
    opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
    sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 500)
    for i in range(500):
        x, y = pairs(64, g)
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        if i % 100 == 0:
            print(i, loss.item())
    with torch.no_grad():
        x, y = pairs(2000, g)
        print("final loss", nn.functional.binary_cross_entropy_with_logits(net(x), y).item())


main()
