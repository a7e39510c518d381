"""Trains a GRU volatility forecaster on minute returns from a price feed; SGD with momentum.
Cause: outlier-batch
Fails: within tens of steps the loss jumps by many orders of magnitude when a misprinted price comes by, again and again; it ends huge.
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(37)
rng = np.random.default_rng(37)
N = 6000
vol = np.exp(0.6 * np.sin(np.arange(N) / 60.0)) * 1e-3
price = 100 * np.exp(np.cumsum(rng.normal(0, 1, N) * vol))
for k in (2503, 4410):
    price[k] *= 1000.0
ret = np.diff(price) / price[:-1]
ret = ret / np.median(np.abs(ret))
ret = ret.astype(np.float32)  # fix: ret = np.clip(ret, -8, 8).astype(np.float32)
r = torch.tensor(ret)
W = 32
starts = torch.arange(0, N - W - 12, 2)


class Vol(nn.Module):
    def __init__(self):
        super().__init__()
        self.g = nn.GRU(1, 24, batch_first=True)
        self.o = nn.Linear(24, 1)

    def forward(self, x):
        h, _ = self.g(x.abs().unsqueeze(-1))
        return self.o(h[:, -1]).squeeze(1)


net = Vol()
opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9)
n = 0
for epoch in range(3):
    hist = []
    for b in starts[torch.randperm(len(starts))].split(16):
        x = torch.stack([r[i:i + W] for i in b])
        y = torch.stack([r[i + W:i + W + 10].abs().mean() for i in b])
        loss = nn.functional.mse_loss(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if n % 60 == 0:
            print(n, round(hist[-1], 4))
        n += 1
print("final loss", sum(hist) / len(hist))
