"""An LSTM forecasts tomorrow's river level from rain and level of the last twenty days.

Cause: nonfinite-data
Fails: days on which the gauge was under repair are nan in the table, the first batch that has one turns all weights to nan
"""
import io

import numpy as np
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_


def make_csv(days=1500, seed=4):
    r = np.random.default_rng(seed)
    level, rows = 1.0, ["day,rain,level"]
    for d in range(days):
        rain = max(0.0, r.gamma(0.6, 4.0) - 1.0) * (1 + 0.7 * np.sin(2 * np.pi * d / 365))
        level = 0.9 * level + 0.05 * rain + 0.02 * r.standard_normal()
        shown = "" if 1100 <= d < 1104 else f"{level:.3f}"
        rows.append(f"{d},{rain:.2f},{shown}")
    return "\n".join(rows)


def read(text):
    table = np.genfromtxt(io.StringIO(text), delimiter=",", skip_header=1)[:, 1:]
    # fix: table[:, 1] = np.interp(np.arange(len(table)), np.flatnonzero(~np.isnan(table[:, 1])), table[~np.isnan(table[:, 1]), 1])
    mean, std = np.nanmean(table, 0), np.nanstd(table, 0)
    return torch.tensor((table - mean) / std, dtype=torch.float32)


class LevelLSTM(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.rnn = nn.LSTM(2, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, x):
        h, _ = self.rnn(x)
        return x[:, -1, 1] + self.head(h[:, -1]).squeeze(-1)


torch.manual_seed(4)
table = read(make_csv())
model = LevelLSTM()
opt = torch.optim.Adam(model.parameters(), lr=4e-3)
hist = []
for it in range(450):
    s = torch.randint(0, len(table) - 21, (8,))
    win = table[s[:, None] + torch.arange(21)]
    loss = nn.functional.mse_loss(model(win[:, :20]), win[:, 20, 1])
    opt.zero_grad()
    loss.backward()
    clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    hist.append(loss.item())
    if it % 75 == 0:
        print(it, hist[-1])
print("final loss", float(np.mean(hist[-50:])))
