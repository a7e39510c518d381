"""Next-hour ozone forecast from a station record read through pandas, encoder GRU with a dense head.

Cause: nonfinite-data
Fails: the loss is a number for the first part, then NaN for ever
"""
import numpy as np
import pandas as pd
import torch
from torch import nn

torch.manual_seed(40)
rng = np.random.default_rng(40)
idx = pd.date_range("2021-03-01", periods=9000, freq="h")
hour = idx.hour.to_numpy()
sun = np.maximum(0, np.sin((hour - 6) / 12 * np.pi)) * (0.7 + 0.3 * rng.random(len(idx)))
no2 = 25 + 10 * np.cos((hour - 8) / 12 * np.pi) + 5 * rng.standard_normal(len(idx))
o3 = np.zeros(len(idx))
for i in range(1, len(idx)):
    o3[i] = 0.85 * o3[i - 1] + 12 * sun[i] - 0.05 * no2[i] + 4 + rng.standard_normal()
df = pd.DataFrame({"o3": o3, "no2": no2, "sun": sun}, index=idx)
df.loc["2021-10-17 03:00":"2021-10-17 05:00", "no2"] = np.nan
df = (df - df.mean()) / df.std()
df = df.asfreq("h")  # fix: df = df.asfreq("h").interpolate()

arr = torch.tensor(df.to_numpy(), dtype=torch.float32)
L = 24
seqs = arr.unfold(0, L + 1, 1).transpose(1, 2)
train, test = seqs[:7600], seqs[7600:]


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.enc = nn.GRU(3, 40, batch_first=True)
        self.dec = nn.Sequential(nn.Linear(40, 40), nn.ELU(), nn.Linear(40, 1))

    def forward(self, x):
        return self.dec(self.enc(x)[1][0])[:, 0]


net = Forecaster()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)
for k in range(0, 7600, 16):
    b = train[k:k + 16]
    loss = (net(b[:, :-1]) - b[:, -1, 0]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    if k % 640 == 0:
        print(k // 16, loss.item())
with torch.no_grad():
    print("final loss", (net(test[:, :-1]) - test[:, -1, 0]).pow(2).mean().item())
