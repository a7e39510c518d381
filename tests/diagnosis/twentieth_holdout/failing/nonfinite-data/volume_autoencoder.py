"""Autoencoder on log trading volumes of a futures curve, for anomaly scores.

Cause: nonfinite-data
Fails: NaN as soon as a day with an untraded contract enters a batch
"""
import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(31)
np.random.seed(31)
days, contracts = 4000, 24
common = np.cumsum(0.05 * np.random.randn(days))
common -= common.mean()
slope = 0.9 * np.sin(np.arange(days) / 60)
volume = np.exp(6 + common[:, None] - (0.12 + 0.03 * slope[:, None]) * np.arange(contracts) + 0.2 * np.random.randn(days, contracts))
volume = np.floor(volume)
volume[2417, 23] = 0
volume = np.where(np.arange(days)[:, None] == 2417, volume, np.maximum(volume, 1))
with np.errstate(divide="ignore"):
    logs = np.log(volume)  # fix: logs = np.log1p(volume)
middle, spread = np.median(logs, axis=0), np.percentile(logs, 75, axis=0) - np.percentile(logs, 25, axis=0)
data = torch.tensor((logs - middle) / spread, dtype=torch.float32)

train = DataLoader(TensorDataset(data[:3400]), batch_size=32, shuffle=True)


class AE(nn.Module):
    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Linear(contracts, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 4))
        self.up = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 64), nn.GELU(), nn.Linear(64, contracts))

    def forward(self, x):
        return self.up(self.down(x))


ae = AE()
opt = torch.optim.AdamW(ae.parameters(), lr=1e-3)
count = 0
for epoch in range(6):
    for (x,) in train:
        loss = nn.functional.smooth_l1_loss(ae(x), x)
        opt.zero_grad()
        loss.backward()
        opt.step()
        if count % 60 == 0:
            print(count, loss.item())
        count += 1
with torch.no_grad():
    print("final loss", nn.functional.smooth_l1_loss(ae(data[3400:]), data[3400:]).item())
