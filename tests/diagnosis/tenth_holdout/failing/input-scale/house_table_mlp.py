"""MLP regression of log sale price on a table of houses (Kaggle notebook turned into a script).

Cause: input-scale
Fails: the loss starts at 875 and is not finite from step 3 on
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(0)
rng = np.random.default_rng(0)

n = 4000
lot = rng.lognormal(9.1, 0.5, n)
living = rng.lognormal(7.3, 0.35, n)
year = rng.integers(1900, 2011, n)
qual = rng.integers(1, 11, n)
income = rng.lognormal(10.9, 0.4, n)
garage = rng.integers(0, 4, n)
logp = 12 + 0.55 * (np.log(living) - 7.3) + 0.1 * (qual - 5.5) + 0.004 * (year - 1960) + 0.2 * (np.log(income) - 10.9) + 0.08 * (np.log(lot) - 9.1) + 0.04 * garage + rng.normal(0, 0.08, n)

feats = np.c_[lot, living, year, qual, income, garage]
y = torch.tensor((logp - logp.mean()) / logp.std(), dtype=torch.float32)


def preprocess(a):
    return a.astype(np.float32)  # fix: return (a - a.mean(0)) / a.std(0)


x = torch.tensor(preprocess(feats), dtype=torch.float32)
xtr, ytr, xva, yva = x[:3200], y[:3200], x[3200:], y[3200:]

net = nn.Sequential(
    nn.Linear(6, 128), nn.LeakyReLU(0.1),
    nn.Linear(128, 128), nn.LeakyReLU(0.1),
    nn.Linear(128, 1),
)
opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
for ep in range(12):
    perm = torch.randperm(len(xtr))
    tot = 0.0
    for k in range(0, len(xtr), 64):
        b = perm[k:k + 64]
        loss = nn.functional.smooth_l1_loss(net(xtr[b]).squeeze(-1), ytr[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    print(ep, tot / len(xtr))
with torch.no_grad():
    print("final loss", nn.functional.smooth_l1_loss(net(xva).squeeze(-1), yva).item())
