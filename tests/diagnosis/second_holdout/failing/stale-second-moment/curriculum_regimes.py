"""Trains a function approximator on a curriculum: faint signals first, the full range later.

Cause: stale-second-moment
Fails: Adam's second moments still remember the faint phase when the loud one begins; the steps are many times the rate and the ReLUs do not survive them
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(4)
CONF = {"quiet": 2500, "loud": 1100, "lr": 1.2e-2, "betas": (0.9, 0.99999)}  # fix: CONF = {"quiet": 2500, "loud": 1100, "lr": 1.2e-2, "betas": (0.9, 0.95)}


def sample(amplitude, n=64):
    x = torch.rand(n, 3) * 2 - 1
    y = torch.sin(3 * x[:, :1]) * x[:, 1:2] + 0.5 * x[:, 2:]
    return x, amplitude * y


class Net(nn.Module):
    def __init__(self, width=40, depth=8):
        super().__init__()
        self.inp = nn.Linear(3, width)
        self.hid = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.out = nn.Linear(width, 1)
        nn.init.zeros_(self.out.weight)
        for m in self.hid:
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")

    def forward(self, x):
        h = F.relu(self.inp(x))
        for m in self.hid:
            h = F.relu(m(h))
        return self.out(h)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=CONF["lr"], betas=CONF["betas"])
ema = None
for step in range(CONF["quiet"] + CONF["loud"]):
    amp = 0.05 if step < CONF["quiet"] else 1.0
    x, y = sample(amp)
    loss = F.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step == CONF["quiet"]:
        print("loud phase starts", loss.item())
    ema = loss.item() if step in (0, CONF["quiet"]) else 0.95 * ema + 0.05 * loss.item()
    if step % 200 == 0:
        print(step, loss.item())
print("final loss", ema)
