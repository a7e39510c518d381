"""Soft mixture of experts on piecewise functions; loss summed over the batch with a step to match, spectral norm on the gate, target scale in the hundreds."""
import argparse

import torch
import torch.nn as nn
from torch.nn.utils.parametrizations import spectral_norm


def target(x):
    piece = (x[:, 0] > 0).long() + 2 * (x[:, 1] > 0).long()
    w = torch.tensor([[3.0, 0.0], [0.0, -3.0], [2.0, 2.0], [-1.0, 1.0]])
    return 100 * ((w[piece] * x).sum(1) + piece)


class Mixture(nn.Module):
    def __init__(self, experts):
        super().__init__()
        self.gate = nn.Sequential(spectral_norm(nn.Linear(2, 32)), nn.Tanh(), nn.Linear(32, experts))
        self.experts = nn.ModuleList(nn.Sequential(nn.Linear(2, 32), nn.ReLU(), nn.Linear(32, 1)) for _ in range(experts))

    def forward(self, x):
        weight = self.gate(x).softmax(-1)
        votes = torch.cat([e(x) for e in self.experts], 1)
        return 100 * (weight * votes).sum(1)


def main():
    ap = argparse.ArgumentParser(description=__doc__)
    ap.add_argument("--experts", type=int, default=4)
    ap.add_argument("--steps", type=int, default=700)
    ap.add_argument("--micro", type=int, default=2, help="micro-batches per step")
    ap.add_argument("--rate", type=float, default=1.5e-8)
    a = ap.parse_args([])
    torch.manual_seed(66)
    net = Mixture(a.experts)
    opt = torch.optim.SGD(net.parameters(), lr=a.rate, momentum=0.9)
    means = []
    for i in range(a.steps):
        total = 0.0
        opt.zero_grad()
        for _ in range(a.micro):
            x = torch.rand(64, 2) * 2 - 1
            loss = (net(x) - target(x)).square().sum()
            loss.backward()
            total += loss.item()
        opt.step()
        means.append(total / (64 * a.micro))
        if i % 70 == 0:
            print("step", i, "summed", total, "mean", means[-1])
    print("final loss", sum(means[-30:]) / 30)


main()
