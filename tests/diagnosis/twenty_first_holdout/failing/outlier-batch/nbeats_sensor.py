"""Trains an N-BEATS-like forecaster on hourly sensor load with SGD, with windows drawn at random.

Cause: outlier-batch
Fails: the loss falls smoothly until one batch, then explodes and does not come back
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(21)
torch.set_num_threads(1)
rs = np.random.RandomState(21)
t = np.arange(6000)
load = 1.0 + 0.4 * np.sin(2 * np.pi * t / 24) + 0.2 * np.sin(2 * np.pi * t / 168) + 0.05 * rs.randn(len(t))
load[5050] = 32767.0
load = load.clip(0.0)  # fix: load = load.clip(0.0, 3.0)
series = torch.tensor((load - np.median(load)) / 0.35, dtype=torch.float32)
BACK, FORE = 48, 12


class NBeatsBlock(nn.Module):
    def __init__(self, units=64):
        super().__init__()
        self.fc = nn.Sequential(nn.Linear(BACK, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU(), nn.Linear(units, units), nn.ReLU())
        self.back, self.fore = nn.Linear(units, BACK), nn.Linear(units, FORE)

    def forward(self, x):
        h = self.fc(x)
        return self.back(h), self.fore(h)


class NBeats(nn.Module):
    def __init__(self, n=4):
        super().__init__()
        self.blocks = nn.ModuleList([NBeatsBlock() for _ in range(n)])

    def forward(self, x):
        out = 0
        for b in self.blocks:
            back, fore = b(x)
            x, out = x - back, out + fore
        return out


def window(starts):
    return torch.stack([series[s:s + BACK] for s in starts]), torch.stack([series[s + BACK:s + BACK + FORE] for s in starts])


model = NBeats()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
g = torch.Generator().manual_seed(8)
for step in range(700):
    x, y = window(torch.randint(0, 5000, (8,), generator=g).tolist())
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    x, y = window(list(range(5100, 5900, 7)))
    print("final loss", nn.functional.mse_loss(model(x), y).item())
