"""Remaining-wear regression from a bank of machine sensors (rpm, pascal, kelvin, micrometres) with a causal TCN.

Cause: input-scale
Fails: pressure enters in pascal next to vibration in millimetres, the loss explodes at the second step and is nan soon after
"""

import torch
import torch.nn.functional as F
from torch import nn

torch.manual_seed(77)
N, T = 640, 48


def machine_data():
    wear = torch.rand(N, 1)
    t = torch.linspace(0, 1, T)
    rpm = 1500 + 200 * torch.randn(N, 1) + 30 * torch.randn(N, T)
    pressure = 101325 + 4000 * (wear - 0.5) * t + 500 * torch.randn(N, T)
    temp = 310 + 25 * wear * t + 2 * torch.randn(N, T)
    vibration = 0.02 * wear * torch.sin(40 * t + 6 * torch.rand(N, 1)) + 0.004 * torch.randn(N, T)
    x = torch.stack([rpm, pressure, temp, vibration], 1)
    return x, (wear - 0.5) * 3.46


class CausalBlock(nn.Module):
    def __init__(self, cin, cout, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.conv = nn.Conv1d(cin, cout, 3, dilation=dilation)
        self.skip = nn.Conv1d(cin, cout, 1) if cin != cout else nn.Identity()

    def forward(self, x):
        return self.skip(x) + F.leaky_relu(self.conv(F.pad(x, (self.pad, 0))))


class TCN(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(CausalBlock(4, 24, 1), CausalBlock(24, 24, 2), CausalBlock(24, 24, 4))
        self.head = nn.Linear(24, 1)

    def forward(self, x):
        return self.head(self.net(x).mean(-1))


x_all, y_all = machine_data()
x_mean, x_std = x_all.mean((0, 2), keepdim=True), x_all.std((0, 2), keepdim=True)
model = TCN()
opt = torch.optim.SGD(model.parameters(), lr=0.02, weight_decay=1e-4)
track = []
for epoch in range(12):
    order = torch.randperm(N)
    for start in range(0, N, 32):
        sel = order[start : start + 32]
        xb = x_all[sel]  # fix: xb = (x_all[sel] - x_mean) / x_std
        loss = F.mse_loss(model(xb), y_all[sel])
        opt.zero_grad()
        loss.backward()
        opt.step()
        track.append(loss.item())
print("final loss", sum(track[-10:]) / 10)
