"""Predicts the volatility of the next day from sixty days of stock returns (in percent) with a causal convolution net.

Cause: outlier-batch
Fails: healthy for a good while, then one batch throws the loss up and it turns NaN
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(19)
rs = np.random.RandomState(19)
N_STOCK, DAYS, W = 30, 1000, 60
prices = np.empty((N_STOCK, DAYS))
vols = np.empty((N_STOCK, DAYS))
for s in range(N_STOCK):
    v, p = 1.0, 100.0
    for d in range(DAYS):
        v = np.exp(0.97 * np.log(v) + 0.12 * rs.randn())
        p *= np.exp(0.01 * v * rs.randn())
        prices[s, d], vols[s, d] = p, v
prices[7, 640] *= 1000.0
returns = 100 * (prices[:, 1:] / prices[:, :-1] - 1)
returns = returns.clip(-1e9, 1e9)  # fix: returns = returns.clip(-15, 15)
returns = torch.tensor(returns, dtype=torch.float32)
logvol = torch.tensor(np.log(vols[:, 1:]), dtype=torch.float32)


class Causal(nn.Module):
    def __init__(self, a, b, dil):
        super().__init__()
        self.pad = 2 * dil
        self.conv = nn.Conv1d(a, b, 3, dilation=dil)
        self.skip = nn.Conv1d(a, b, 1)

    def forward(self, x):
        return self.skip(x) + F.relu(self.conv(F.pad(x, (self.pad, 0))))


net = nn.Sequential(Causal(2, 16, 1), Causal(16, 16, 2), Causal(16, 16, 4), Causal(16, 16, 8), nn.Conv1d(16, 1, 1))
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)


def loss_at(stocks, days):
    r = torch.stack([returns[s, d - W:d] for s, d in zip(stocks, days)])
    t = torch.stack([logvol[s, d - W + 1:d + 1] for s, d in zip(stocks, days)])
    out = net(torch.stack([r, r.abs()], 1)).squeeze(1)
    return F.mse_loss(out[:, 20:], t[:, 20:])


pool = [(s, d) for s in range(N_STOCK) for d in range(W, 750)]
order = rs.permutation(len(pool))
for step in range(450):
    pick = [pool[i] for i in order[step * 16:(step + 1) * 16]]
    loss = loss_at(*zip(*pick))
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 30 == 0:
        print(step, loss.item())
with torch.no_grad():
    val = [(s, d) for s in range(N_STOCK) for d in range(820, DAYS - 1, 20)]
    print("final loss", loss_at(*zip(*val)).item())
