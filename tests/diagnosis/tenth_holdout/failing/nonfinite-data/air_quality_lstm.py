"""Hourly NO2 forecast from an air quality station with an LSTM; the sensor has offline stretches.

Cause: nonfinite-data
Fails: the loss is not finite from step 150 on
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(31)
np.random.seed(31)
hours = 5000
t = np.arange(hours)
traffic = 1.2 + np.sin(2 * np.pi * (t - 6) / 24) + 0.4 * np.sin(4 * np.pi * t / 24)
wind = np.abs(np.random.randn(hours).cumsum() * 0.05 % 6)
no2 = 18 + 14 * traffic - 2.2 * wind + np.random.randn(hours) * 2.5
no2[3710:3764] = np.nan
no2[4402:4411] = np.nan
frame = np.stack([no2, wind, traffic], 1)

mu, sd = np.nanmean(frame, 0), np.nanstd(frame, 0)
z = ((frame - mu) / sd).astype(np.float32)
# fix: z[np.isnan(z)] = 0.0
z = torch.from_numpy(z)
SEQ = 24


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.rnn = nn.LSTM(3, 48, num_layers=2, batch_first=True)
        self.lin = nn.Linear(48, 1)

    def forward(self, x):
        y, _ = self.rnn(x)
        return self.lin(y[:, -1])[:, 0]


model = Model()
opt = torch.optim.NAdam(model.parameters(), lr=3e-3)
hist = []
for step in range(200):
    start = step * 24
    idx = np.arange(start, min(start + 24 * 4, hours - SEQ - 1), 2)
    x = torch.stack([z[i:i + SEQ] for i in idx])
    y = z[idx + SEQ, 0]
    loss = nn.functional.mse_loss(model(x), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if step % 20 == 0:
        print("step %d loss %.4f" % (step, hist[-1]))
print("final loss", float(np.mean(hist[-15:])))
