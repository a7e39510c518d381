"""Direction of daily returns over 20 stocks from a table of prices, TCN (causal conv) classifier.

Cause: nonfinite-data
Fails: a delisted/relisted stock has a price of 0 on some days, its return is inf there; the loss is nan as soon as that window is drawn
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F


def load_prices(n_stocks=20, n_days=700, seed=12):
    rng = np.random.default_rng(seed)
    ret = np.zeros((n_days, n_stocks))
    for t in range(2, n_days):
        ret[t] = 0.9 * ret[t - 1] - 0.7 * ret[t - 2] + 0.01 * rng.standard_normal(n_stocks)
    price = 50 * np.exp(np.cumsum(ret, 0))
    price[333:336, 7] = 0.0  # suspended
    return price


def make_dataset(price, window=16):
    r = (price[1:] - price[:-1]) / price[:-1]
    # fix: r = np.nan_to_num(r, nan=0.0, posinf=0.0, neginf=0.0); r = np.where(np.abs(r) > 0.5, 0.0, r)
    r = r / 0.016
    X, y = [], []
    for s in range(r.shape[1]):
        for t in range(len(r) - window):
            X.append(r[t:t + window, s])
            y.append(r[t + window, s] > 0)
    return torch.tensor(np.array(X), dtype=torch.float32), torch.tensor(np.array(y), dtype=torch.float32)


class CausalConv(nn.Module):
    def __init__(self, i, o, k, d):
        super().__init__()
        self.pad = (k - 1) * d
        self.conv = nn.Conv1d(i, o, k, dilation=d)

    def forward(self, x):
        return self.conv(F.pad(x, (self.pad, 0)))


class TCN(nn.Module):
    def __init__(self, ch=24):
        super().__init__()
        self.inp = CausalConv(1, ch, 3, 1)
        self.layers = nn.ModuleList([CausalConv(ch, ch, 3, 2 ** i) for i in range(1, 4)])
        self.out = nn.Linear(ch, 1)

    def forward(self, x):
        h = F.relu(self.inp(x.unsqueeze(1)))
        for l in self.layers:
            h = h + F.relu(l(h))
        return self.out(h[:, :, -1]).squeeze(-1)


def train():
    torch.manual_seed(4)
    with np.errstate(all="ignore"):
        X, y = make_dataset(load_prices())
    model = TCN()
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    n_tr = len(X)
    hist = []
    for epoch in range(3):
        perm = torch.randperm(n_tr)
        for i, k in enumerate(range(0, n_tr - 64, 64)):
            idx = perm[k:k + 64]
            loss = F.binary_cross_entropy_with_logits(model(X[idx]), y[idx])
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            opt.step()
            hist.append(loss.item())
            if i % 50 == 0:
                print(f"epoch {epoch} batch {i} bce {loss.item():.4f}")
    print("final loss", float(np.mean(hist[-60:])))


train()
