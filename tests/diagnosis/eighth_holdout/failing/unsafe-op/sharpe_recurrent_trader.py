"""Recurrent position sizing trained directly on the (negative) Sortino ratio of the book.

Cause: unsafe-op
Fails: the loss is not finite from step 2 on
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(77)
rs = np.random.RandomState(77)

# momentum regimes: the drift is persistent and partly predictable
n_assets, n_days = 6, 2500
drift = np.zeros((n_days, n_assets))
for d in range(1, n_days):
    drift[d] = 0.95 * drift[d - 1] + 0.0016 * rs.randn(n_assets)
rets = torch.tensor(drift + 0.008 * rs.randn(n_days, n_assets), dtype=torch.float32)
vol = rets.std()


class Trader(nn.Module):
    def __init__(self, k, h=24):
        super().__init__()
        self.gru = nn.GRU(k, h, batch_first=True)
        self.pos = nn.Linear(h, k)

    def forward(self, r):
        z, _ = self.gru(r / vol)
        return torch.tanh(self.pos(z))


def downside(pnl):
    low = pnl * (pnl < 0)
    return low.pow(2).mean(1).sqrt()  # fix: return (low.pow(2).mean(1) + 1e-6).sqrt()


def objective(net, r):
    w = net(r[:, :-1])
    pnl = (w * r[:, 1:]).mean(-1) * 100
    # short windows keep the gradient of the ratio local
    chunks = pnl.reshape(-1, 6)
    return -(chunks.mean(1) / (downside(chunks) + 0.1)).mean()


net = Trader(n_assets)
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
curve = []
for epoch in range(260):
    start = torch.randint(0, n_days - 61, (8,))
    r = torch.stack([rets[s:s + 61] for s in start])
    loss = objective(net, r)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    curve.append(loss.item())
    if epoch % 40 == 0:
        print(epoch, "objective", curve[-1])
print("final loss", float(np.mean(curve[-20:])))
