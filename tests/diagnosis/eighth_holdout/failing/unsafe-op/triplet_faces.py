"""Metric learning with batch-hard triplets on synthetic face descriptors.
Cause: unsafe-op
Fails: the loss is not finite from step 1 on
"""
import torch
from torch import nn

torch.manual_seed(77)
CLASSES = 12
proto = torch.randn(CLASSES, 10)
mix = torch.randn(10, 64) / 3


def batch(per=6):
    y = torch.arange(CLASSES).repeat_interleave(per)
    z = proto[y] + 0.5 * torch.randn(len(y), 10)
    nuis = 0.5 * torch.randn(len(y), 64)
    return torch.tanh(z @ mix) + 0.4 * nuis, y


def pdist(e):
    sq = (e[:, None] - e[None]).pow(2).sum(-1)
    return torch.sqrt(sq)  # fix: return torch.sqrt(sq + 1e-8)


def batch_hard(e, y, margin=1.0):
    d = pdist(e)
    same = y[:, None] == y[None]
    pos = (d * same).amax(1)
    neg = (d + 1e4 * same).amin(1)
    return torch.relu(pos - neg + margin).mean()


emb = nn.Sequential(nn.Linear(64, 128), nn.ReLU(), nn.Linear(128, 32))
opt = torch.optim.Adam(emb.parameters(), lr=1e-3)
tail = []
for it in range(700):
    x, y = batch()
    loss = batch_hard(emb(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if it % 70 == 0:
        print("iter", it, "triplet", tail[-1])
print("final loss", sum(tail[-30:]) / 30)
