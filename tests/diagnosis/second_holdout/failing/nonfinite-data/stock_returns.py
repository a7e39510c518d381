"""Predicts next-day volatility from windows of daily returns, pandas preprocessing, GRU.

Cause: nonfinite-data
Fails: a day with a traded price of zero gives an infinite return, the loss is NaN from the batch that holds it
"""
import numpy as np
import pandas as pd
import torch
import torch.nn as nn

rng = np.random.default_rng(2024)
vol = 0.01 * np.exp(0.7 * np.sin(np.arange(1500) / 60))
price = pd.Series(100 * np.exp(np.cumsum(rng.normal(0, vol))))
price.iloc[1313] = 0.0  # feed dropped a tick
# fix: price = price.replace(0.0, np.nan).ffill()

df = pd.DataFrame({"ret": price.pct_change(), "absret": price.pct_change().abs()})
df["target"] = np.log(vol) + 4.6
df = df.iloc[1:]
feats = df[["ret", "absret"]].to_numpy("float32") * 50
target = df["target"].to_numpy("float32")

W = 30
windows = np.stack([feats[i:i + W] for i in range(len(feats) - W)])
labels = target[W:]
X, y = torch.from_numpy(windows), torch.from_numpy(labels)

torch.manual_seed(0)
gru, head = nn.GRU(2, 32, batch_first=True), nn.Linear(32, 1)
params = list(gru.parameters()) + list(head.parameters())
opt = torch.optim.Adam(params, lr=2e-3)
for epoch in range(8):
    total, n = 0.0, 0
    for i in range(0, len(X), 64):  # in order of time
        xb, yb = X[i:i + 64], y[i:i + 64]
        out, _ = gru(xb)
        loss = ((head(out[:, -1]).squeeze(1) - yb) ** 2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        total += loss.item() * len(xb)
        n += len(xb)
    print("epoch", epoch, "loss", total / n)
print("final loss", total / n)
