"""A temporal conv net predicts tomorrow's change of the temperature from a fortnight of weather.

Cause: dead-units
Fails: the loss stays at 36, where it began
"""

import numpy as np
import torch
from torch import nn


def weather(days, rng):
    temperature, pressure = np.zeros(days), np.zeros(days)
    for d in range(1, days):
        pressure[d] = 0.9 * pressure[d - 1] + rng.normal()
        temperature[d] = 0.8 * temperature[d - 1] - 0.5 * pressure[d - 1] + 0.3 * rng.normal()
    return np.stack([temperature, pressure], 0)


def windows(series, length=14):
    x = np.stack([series[:, s : s + length] for s in range(series.shape[1] - length)])
    y = series[0, length:] - series[0, length - 1 : -1] - 6.0
    return torch.tensor(x, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


def build():
    return nn.Sequential(
        nn.Conv1d(2, 24, 3), nn.ReLU(),
        nn.Conv1d(24, 24, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(240, 32), nn.ReLU(),
        nn.Linear(32, 1),
        nn.ReLU(),  # fix: nn.Identity(),
    )


rng = np.random.default_rng(8)
torch.manual_seed(8)
series = weather(2500, rng)
series = (series - series.mean(1, keepdims=True)) / series.std(1, keepdims=True)
x, y = windows(series)
net = build()
optimizer = torch.optim.RMSprop(net.parameters(), lr=1e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 12)
trace = []
for epoch in range(12):
    for rows in torch.as_tensor(rng.permutation(len(x))).split(64):
        optimizer.zero_grad()
        loss = (net(x[rows]).squeeze(1) - y[rows]).square().mean()
        loss.backward()
        optimizer.step()
        trace.append(loss.item())
    scheduler.step()
    print(epoch, np.mean(trace[-39:]))
print("final loss", float(np.mean(trace[-20:])))
