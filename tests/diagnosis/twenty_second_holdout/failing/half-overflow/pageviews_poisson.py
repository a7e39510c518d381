"""Wiki page views: an LSTM with a Poisson likelihood predicts hourly counts over a wide range of popularity.

Cause: half-overflow
"""
import math
import numpy as np
import torch
from torch import nn

torch.set_num_threads(1)
rng = np.random.default_rng(123)
torch.manual_seed(123)

PAGES, T = 64, 400
hours = np.arange(T)
lvl = rng.uniform(4.0, 10.3, PAGES)
lograte = lvl[:, None] + 0.5 * np.sin(2 * np.pi * (hours + rng.integers(0, 24, PAGES)[:, None]) / 24)
walk = np.cumsum(0.02 * rng.standard_normal((PAGES, T)), 1)
lograte += walk
viral = rng.random(PAGES) < 0.3
for p in np.where(viral)[0]:
    s = rng.integers(250, 380)
    lograte[p, s:] += 1.8 * np.exp(-np.arange(T - s) / 40.0)
views = rng.poisson(np.exp(lograte)).astype(np.float32)

V = torch.from_numpy(views)
X = torch.log1p(V)


class Forecaster(nn.Module):
    def __init__(self, h=40):
        super().__init__()
        self.lstm = nn.LSTM(3, h, batch_first=True)
        self.mu = nn.Linear(h, 1)

    def forward(self, x, clock):
        z, _ = self.lstm(torch.cat([(x[..., None] - 7) / 2, clock], -1))
        delta = self.mu(z).squeeze(-1)
        return x + delta                       # log intensity relative to the last hour


clock = torch.tensor(np.stack([np.sin(2 * np.pi * hours / 24), np.cos(2 * np.pi * hours / 24)], -1),
                     dtype=torch.float32)
net = Forecaster()
opt = torch.optim.Adam(net.parameters(), lr=2e-3)


def poisson_nll(log_lam, k):
    lam = log_lam.to(torch.half).exp()  # fix: lam = log_lam.exp()
    lam = lam.float()
    # scaled so that popular pages do not drown the others
    return ((lam - k * log_lam + k * torch.log(k + 1) - k) / (k + 10)).mean()


curve = []
W = 48
for it in range(500):
    hi = 60 + int((T - W - 62) * min(1.0, it / 450))     # expanding window of history
    s = rng.integers(0, hi)
    p = torch.tensor(rng.choice(PAGES, 24, replace=False))
    out = net(X[p, s:s + W], clock[s:s + W].expand(24, W, 2))
    loss = poisson_nll(out, V[p, s + 1:s + W + 1])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    curve.append(loss.item())
    if it % 50 == 0:
        print(f"{it:4d} scaled nll {loss.item():.5f} (history {hi}h)")
print("final loss", float(np.mean(curve[-20:])))
