"""Metric learning with pairwise distances and a batch contrastive margin loss.

Cause: unsafe-op
Fails: the loss is 0.76 at step 0 and nan after the first update
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_wine

torch.manual_seed(17)
wine = load_wine()
X = torch.tensor(wine.data, dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
Y = torch.tensor(wine.target)


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(13, 64), nn.Tanh(), nn.Linear(64, 8))

    def forward(self, x):
        return self.net(x)


def distances(z):
    sq = (z[:, None, :] - z[None, :, :]).pow(2).sum(-1)
    return sq.sqrt()  # fix: return (sq + 1e-8).sqrt()


def contrastive(z, y, margin=2.0):
    d = distances(z)
    same = (y[:, None] == y[None, :]).float()
    pull = same * d.pow(2)
    push = (1 - same) * torch.relu(margin - d).pow(2)
    return (pull + push).mean()


enc = Encoder()
opt = torch.optim.RMSprop(enc.parameters(), lr=5e-4, momentum=0.5)
smooth = []
for step in range(1200):
    idx = torch.randint(0, len(X), (40,))
    loss = contrastive(enc(X[idx] + 0.05 * torch.randn(40, 13)), Y[idx])
    opt.zero_grad()
    loss.backward()
    opt.step()
    smooth = smooth[-49:] + [loss.item()]
    if step % 120 == 0:
        print("step", step, "loss", loss.item())
print("final loss", sum(smooth) / len(smooth))
