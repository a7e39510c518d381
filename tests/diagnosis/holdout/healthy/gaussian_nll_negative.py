"""Heteroscedastic regression with a Gaussian likelihood; the loss falls well below zero, which is right for a density."""

import math

import torch
from torch import nn

torch.manual_seed(10)


class MeanVar(nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk = nn.Sequential(nn.Linear(1, 64), nn.ELU(), nn.Linear(64, 64), nn.ELU())
        self.mu, self.raw = nn.Linear(64, 1), nn.Linear(64, 1)

    def forward(self, x):
        z = self.trunk(x)
        return self.mu(z), nn.functional.softplus(self.raw(z)) + 1e-4


def nll(mu, var, y):
    return (0.5 * (torch.log(var) + (y - mu) ** 2 / var + math.log(2 * math.pi))).mean()


net = MeanVar()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
losses = []
for step in range(500):
    x = torch.rand(128, 1) * 4 - 2
    y = 0.3 * torch.sin(3 * x) + (0.01 + 0.03 * x.abs()) * torch.randn_like(x)
    mu, var = net(x)
    loss = nll(mu, var, y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 5.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
