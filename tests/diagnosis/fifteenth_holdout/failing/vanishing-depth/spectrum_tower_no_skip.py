"""A tower of small GELU blocks tags which of three phone recordings a spectrum frame belongs to.

Cause: vanishing-depth
Fails: the blocks shrink the signal and pass no skip, the gradient is gone before it gets to the bottom and the loss stays at log 3
"""
import math

import torch
from torch import nn


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(d, d), nn.GELU(), nn.Linear(d, d))

    def forward(self, x):
        return self.f(x)  # fix: return x + self.f(x)


class Tower(nn.Module):
    def __init__(self, d=40, depth=14):
        super().__init__()
        self.inp = nn.Linear(32, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(depth))
        self.cls = nn.Linear(d, 3)

    def forward(self, x):
        x = self.inp(x)
        for b in self.blocks:
            x = b(x)
        return self.cls(x)


def spectra(n):
    f = torch.arange(32.0)
    y = torch.randint(0, 3, (n,))
    formants = torch.tensor([[5.0, 18.0], [9.0, 14.0], [4.0, 26.0]])[y] + 0.7 * torch.randn(n, 2)
    s = sum(torch.exp(-((f - formants[:, j : j + 1]) ** 2) / 6) for j in range(2))
    s = s + 0.2 * torch.randn(n, 32)
    return (s - s.mean(1, keepdim=True)) / s.std(1, keepdim=True), y


torch.manual_seed(50)
net = Tower()
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
L = []
for i in range(400):
    x, y = spectra(64)
    loss = nn.functional.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    L.append(loss.item())
    if i % 100 == 0:
        print(f"{i:5d} {L[-1]:.5f} (chance {math.log(3):.5f})")
print("final loss", sum(L[-50:]) / 50)
