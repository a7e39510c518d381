"""Fraud table with one positive in a hundred and a large pos_weight; losses jump whenever positives turn up."""

import numpy as np
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

rng = np.random.default_rng(13)
torch.manual_seed(13)
n = 6000
label = (rng.random(n) < 0.01).astype(np.float32)
amount = rng.lognormal(3, 1, n) * np.where(label == 1, 3.0, 1.0)
hour = rng.integers(0, 24, n)
noise = rng.normal(size=(n, 6)) + 1.2 * label[:, None] * np.array([1, -1, 1, 0, 0, 0])
X = np.column_stack([np.log1p(amount), np.sin(hour / 24 * 6.283), np.cos(hour / 24 * 6.283), noise]).astype(np.float32)
X = (X - X.mean(0)) / X.std(0)
dl = DataLoader(TensorDataset(torch.from_numpy(X), torch.from_numpy(label)), batch_size=100, shuffle=True)
model = nn.Sequential(nn.Linear(9, 32), nn.ReLU(), nn.Dropout(0.1), nn.Linear(32, 1))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
crit = nn.BCEWithLogitsLoss(pos_weight=torch.tensor(60.0))
losses = []
for epoch in range(6):
    for xb, yb in dl:
        loss = crit(model(xb).squeeze(1), yb)
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print(epoch, sum(losses[-60:]) / 60)
print("final loss", sum(losses[-10:]) / 10)
