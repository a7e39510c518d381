"""Hourly river-level forecast from a station export (CSV text with gaps).

Cause: nonfinite-data
Fails: fine for a number of steps, then one window carries a missing reading and
everything is nan afterwards.
"""
import csv
import io
import math
import random
import torch
import torch.nn as nn

random.seed(12)
torch.manual_seed(12)


def export():
    buf = io.StringIO()
    w = csv.writer(buf)
    w.writerow(["hour", "level_m", "rain_mm"])
    wet = 0.0
    for h in range(6000):
        rain = max(0.0, random.gauss(-1.5, 2))
        wet = 0.97 * wet + 0.03 * rain
        lev = 2 + 0.4 * math.sin(h / 24 * 2 * math.pi) + 3 * wet + random.gauss(0, 0.02)
        w.writerow([h, "" if h == 4711 else f"{lev:.3f}", f"{rain:.2f}"])
    return buf.getvalue()


def parse(text):
    rows, last = [], 0.0
    for r in csv.DictReader(io.StringIO(text)):
        level = float(r["level_m"] or "nan")  # fix: level = float(r["level_m"] or last)
        rows.append((level, float(r["rain_mm"])))
        last = level
    return torch.tensor(rows)


series = parse(export())
ref = series[:4000]
series = (series - ref.mean(0)) / ref.std(0)
L = 24


class Forecaster(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru = nn.GRU(2, 24, batch_first=True)
        self.out = nn.Linear(24, 1)

    def forward(self, x):
        return self.out(self.gru(x)[0][:, -1]).squeeze(-1)


net = Forecaster()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
starts = torch.randperm(len(series) - L)
for epoch in range(6):
    tot, k = 0.0, 0
    for s in starts.split(64):
        x = torch.stack([series[i:i + L] for i in s])
        y = series[s + L, 0]
        loss = (net(x) - y).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        tot, k = tot + loss.item(), k + 1
        if k % 25 == 0:
            print(f"epoch {epoch} batch {k} loss {loss.item():.4f}")
print("final loss", tot / k)
