"""Gas turbine telemetry: a residual TCN forecasts exhaust temperature from four channels; bad telegrams are screened out.

Cause: outlier-batch
"""
import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)
torch.manual_seed(61)
rng = np.random.default_rng(61)

# ---- telemetry, 1/min, standardised at the plant
n = 12000
load = np.cumsum(rng.standard_normal(n) * 0.05)
load = load - np.convolve(load, np.ones(400) / 400, "same")
load /= load.std()
amb = np.sin(2 * np.pi * np.arange(n) / 1440)
exh = np.zeros(n)
for i in range(1, n):
    exh[i] = 0.9 * exh[i - 1] + 0.1 * (1.3 * load[i - 1] + 0.4 * amb[i - 1]) + 0.03 * rng.standard_normal()
exh /= exh.std()
fuel = 0.8 * load + 0.1 * rng.standard_normal(n)
ch = np.stack([load, amb, fuel, exh], 0)
for bad in (7411, 7990, 9120):          # stuck ADC word in the logger
    ch[3, bad] = 32767.0 / 40.0

W, AHEAD = 48, 5
starts = np.arange(0, n - W - AHEAD)
windows_ok = np.array([np.isfinite(ch[:, s:s + W + AHEAD]).all() for s in starts])
peak = np.array([np.abs(ch[3, s:s + W + AHEAD]).max() for s in starts])
starts = starts[windows_ok & (peak < 1e4)]  # fix: starts = starts[windows_ok & (peak < 10)]
X = torch.tensor(ch, dtype=torch.float32)


class TBlock(nn.Module):
    def __init__(self, c, d):
        super().__init__()
        self.pad = 2 * d
        self.a = nn.Conv1d(c, c, 3, dilation=d)
        self.b = nn.Conv1d(c, c, 1)

    def forward(self, x):
        y = torch.relu(self.a(nn.functional.pad(x, (self.pad, 0))))
        return torch.relu(x + self.b(y))


model = nn.Sequential(nn.Conv1d(4, 24, 1), *[TBlock(24, d) for d in (1, 2, 4, 8)], nn.Conv1d(24, 1, 1))
opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
vals = []
for it in range(700):
    # walk forward through the year, shuffling inside a block of 1500 minutes
    lo = int(it / 700 * (len(starts) - 1500))
    s = rng.choice(starts[lo:lo + 1500], 16)
    x = torch.stack([X[:, i:i + W] for i in s])
    y = torch.stack([X[3, i + W + AHEAD - 1] for i in s])
    loss = (model(x)[:, 0, -1] - y).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    vals.append(loss.item())
    if it % 70 == 0:
        print(f"block {lo:6d} mse {np.mean(vals[-30:]):.4f}")
print("final loss", float(np.mean(vals[-20:])))
