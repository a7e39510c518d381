"""Next-day return forecasting on sliding windows of percentage changes, dilated convolutions.

Cause: nonfinite-data
Fails: a zero quote makes one return infinite, the loss is nan once a window with it is drawn
First bad: step 4, data
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

rng = np.random.default_rng(6)
torch.manual_seed(6)

DAYS, ASSETS, WIN = 900, 3, 16


def quotes():
    r = np.zeros((DAYS, ASSETS))
    shock = rng.normal(0, 0.01, (DAYS, ASSETS))
    for t in range(2, DAYS):
        r[t] = 1.2 * r[t - 1] - 0.7 * r[t - 2] + 0.1 * np.roll(r[t - 1], 1) + shock[t]
    p = 100 * np.exp(np.cumsum(r * 0.3, 0))
    p[500, 1] = 0.0
    # fix: p[500, 1] = p[499, 1]
    return p


def pct_change(p):
    with np.errstate(divide="ignore", invalid="ignore"):
        return p[1:] / p[:-1] - 1.0


ret = pct_change(quotes()).astype(np.float32)
scale = np.nanmedian(np.abs(ret)) * 1.5
ret = torch.from_numpy(ret / scale)
wins = ret.unfold(0, WIN + 1, 1)  # (N, ASSETS, WIN + 1)


class DilatedNet(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.c1 = nn.Conv1d(ASSETS, ch, 2, dilation=1)
        self.c2 = nn.Conv1d(ch, ch, 2, dilation=2)
        self.c3 = nn.Conv1d(ch, ch, 2, dilation=4)
        self.head = nn.Linear(ch, ASSETS)

    def forward(self, x):
        for c in (self.c1, self.c2, self.c3):
            x = torch.tanh(c(x))
        return self.head(x[..., -1])


net = DilatedNet()
opt = torch.optim.RMSprop(net.parameters(), lr=1e-3)
losses = []
for step in range(300):
    idx = torch.randint(0, len(wins), (24,))
    batch = wins[idx]
    loss = F.mse_loss(net(batch[..., :-1]), batch[..., -1])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
