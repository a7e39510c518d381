"""Learns an embedding of digits with a batch-all triplet loss on Euclidean distances.

Cause: unsafe-op
Fails: the distance of a sample to itself is sqrt(0), whose gradient is not finite; weights are NaN at once
"""
import torch
from torch import nn
from sklearn.datasets import load_digits


def pdist(e):
    sq = (e.unsqueeze(0) - e.unsqueeze(1)).pow(2).sum(-1)
    return sq.sqrt()  # fix: return (sq + 1e-8).sqrt()


def batch_all_triplet(e, y, margin=0.5):
    d = pdist(e)
    same = y[:, None] == y[None]
    eye = torch.eye(len(y), dtype=torch.bool)
    trip = d.unsqueeze(2) - d.unsqueeze(1) + margin
    mask = (same & ~eye).unsqueeze(2) & (~same).unsqueeze(1)
    trip = torch.relu(trip) * mask
    return trip.sum() / (trip > 1e-12).sum().clamp(min=1)


torch.manual_seed(0)
X, y = load_digits(return_X_y=True)
X, y = torch.tensor(X / 16.0, dtype=torch.float32), torch.tensor(y)
net = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 16))
opt = torch.optim.Adam(net.parameters(), lr=1e-3)
hist = []
for step in range(400):
    idx = torch.randint(len(X), (64,))
    loss = batch_all_triplet(nn.functional.normalize(net(X[idx])), y[idx]) * 1.0
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-20:]) / 20)
