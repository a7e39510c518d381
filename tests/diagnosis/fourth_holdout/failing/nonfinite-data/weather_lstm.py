"""An LSTM that forecasts tomorrow's temperature from a made-up weather station.

Cause: nonfinite-data
Fails: learns for some fifty batches; the loss is nan from the first window with the sensor's gap on
"""
import numpy as np
import torch
import torch.nn as nn

np.random.seed(0)
torch.manual_seed(0)


def station(days=2500):
    t = np.arange(days)
    temp = 10 + 9 * np.sin(2 * np.pi * t / 365.25) + 0.3 * np.cumsum(np.random.randn(days)) * 0.1 + np.random.randn(days)
    press = 1013 + 6 * np.sin(2 * np.pi * t / 11) + np.random.randn(days)
    hum = 70 - 1.5 * (temp - 10) + 3 * np.random.randn(days)
    table = np.stack([temp, press, hum], 1)
    table[1700:1704, 2] = np.nan      # the humidity sensor was being serviced
    return table


table = station()
z = (table - np.nanmean(table, 0)) / np.nanstd(table, 0)
series = torch.tensor(z, dtype=torch.float32)  # fix: series = torch.tensor(np.nan_to_num(z), dtype=torch.float32)
WIN = 30


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(3, 32, batch_first=True)
        self.fc = nn.Linear(32, 1)

    def forward(self, x):
        h, _ = self.lstm(x)
        return self.fc(h[:, -1]).squeeze(-1)


model = Forecaster()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
starts = np.arange(0, len(series) - WIN - 1)
for epoch in range(5):
    losses = []
    order = starts if epoch == 0 else np.random.permutation(starts)   # first pass in time order
    for b in range(0, len(order) - 31, 32):
        ix = order[b:b + 32]
        x = torch.stack([series[i:i + WIN] for i in ix])
        y = torch.stack([series[i + WIN, 0] for i in ix])
        loss = nn.functional.mse_loss(model(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        opt.step()
        losses.append(loss.item())
        if epoch == 0 and len(losses) % 10 == 1:
            print(f"  batch {len(losses)} loss {losses[-1]:.4f}")
    print(f"epoch {epoch} mean loss {np.mean(losses):.4f}")
print("final loss", float(np.mean(losses)))
