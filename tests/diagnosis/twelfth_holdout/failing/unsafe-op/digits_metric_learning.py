"""Deep metric learning (batch-hard triplets) on digits; nearest-neighbour accuracy at the end.

Cause: unsafe-op
Fails: final 1-nn accuracy nan (with the fix 0.9899)
"""
import torch
import torch.nn as nn
from sklearn.datasets import load_digits

torch.manual_seed(44)
d = load_digits()
X = torch.tensor(d.data / 8.0 - 1.0, dtype=torch.float32)
Y = torch.tensor(d.target)
perm = torch.randperm(len(X))
X, Y = X[perm], Y[perm]
Xtr, Ytr, Xte, Yte = X[:1300], Y[:1300], X[1300:], Y[1300:]
EPS = 0.0  # fix: EPS = 1e-12


class Embed(nn.Module):
    def __init__(self, out=12):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU(), nn.Linear(128, out))

    def forward(self, x):
        return self.f(x)


def pairwise(e):
    diff = e[:, None] - e[None]
    return (diff.pow(2).sum(-1) + EPS).sqrt()


def batch_hard(e, y, margin=1.0):
    dist = pairwise(e)
    same = y[:, None] == y[None]
    pos = (dist * same).max(1).values
    neg = dist.masked_fill(same, 1e6).min(1).values
    return torch.relu(pos - neg + margin).mean() + 1e-3 * dist.mean()


def pk_batch(p=8, k=6):
    idx = []
    for c in torch.randperm(10)[:p]:
        pool = torch.nonzero(Ytr == c).flatten()
        idx.append(pool[torch.randperm(len(pool))[:k]])
    idx = torch.cat(idx)
    return Xtr[idx], Ytr[idx]


net = Embed()
opt = torch.optim.NAdam(net.parameters(), lr=2e-3)
history = []
for step in range(250):
    x, y = pk_batch()
    loss = batch_hard(net(x), y)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    history.append(loss.item())
    if step % 50 == 49:
        print("step", step + 1, "triplet loss", sum(history[-50:]) / 50)

net.eval()
with torch.no_grad():
    a, b = net(Xtr), net(Xte)
    if torch.isfinite(a).all():
        acc = (Ytr[torch.cdist(b, a).argmin(1)] == Yte).float().mean().item()
    else:
        acc = float("nan")
print("final 1-nn accuracy", round(acc, 4))
