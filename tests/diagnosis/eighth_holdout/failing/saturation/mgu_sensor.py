"""Minimal gated unit with slow-memory bias init, integrating a rate sensor into an angle.

Cause: saturation
Fails: the loss stays at its start, 1.01 at first, 0.97 at the end (with the fix 0.001)
"""
import math

import torch
from torch import nn
import torch.nn.functional as F


class MGUCell(nn.Module):
    """h <- (1 - f) h + f tanh(U x + V (f h))"""

    def __init__(self, n_in, n_hid, horizon):
        super().__init__()
        self.gate = nn.Linear(n_in + n_hid, n_hid)
        self.cand_x = nn.Linear(n_in, n_hid)
        self.cand_h = nn.Linear(n_hid, n_hid, bias=False)
        with torch.no_grad():
            self.gate.weight.mul_(0.3)
            self.gate.bias.copy_(-torch.log(horizon * (0.5 + 0.5 * torch.rand(n_hid))))

    def forward(self, x, h):
        z = self.gate(torch.cat([x, h], -1))
        f = F.hardsigmoid(z)  # fix: f = torch.sigmoid(z)
        return (1 - f) * h + f * torch.tanh(self.cand_x(x) + self.cand_h(f * h))


class Integrator(nn.Module):
    def __init__(self, horizon):
        super().__init__()
        self.cell = MGUCell(2, 32, horizon)
        self.read = nn.Linear(32, 1)

    def forward(self, xs):
        h = xs.new_zeros(xs.shape[1], 32)
        for x in xs:
            h = self.cell(x, h)
        return self.read(h)[:, 0]


def gyro(n, T):
    rate = torch.randn(n, 1) * 0.5 + 0.6 * torch.randn(n, T)
    bias = 0.2 * torch.randn(n, 1)
    angle = rate.mean(1) * 2
    return torch.stack([rate + bias, bias.expand(n, T)], -1).transpose(0, 1), angle


def main():
    torch.manual_seed(8)
    T = 64
    net = Integrator(T)
    opt = torch.optim.Adam(net.parameters(), lr=1e-2)
    ema = None
    for step in range(200):
        x, y = gyro(64, T)
        loss = F.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        ema = loss.item() if ema is None else 0.9 * ema + 0.1 * loss.item()
        if step % 40 == 0:
            print(step, ema)
    print("final loss", ema)


main()
