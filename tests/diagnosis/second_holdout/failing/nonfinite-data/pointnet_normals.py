"""Classifies point clouds (sphere, cube, cone) with a PointNet that sees positions and normals.

Cause: nonfinite-data
Fails: a few scans hold a degenerate triangle whose normal is 0/0 = NaN, the weights are NaN after the first such batch
"""
import numpy as np
import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Scans(Dataset):
    """Points with estimated normals; estimation happens offline in numpy."""

    def __init__(self, n=480, pts=96):
        rng = np.random.RandomState(0)
        self.items = []
        for i in range(n):
            kind = i % 3
            p = rng.normal(size=(pts, 3))
            if kind == 0:
                p /= np.linalg.norm(p, axis=1, keepdims=True)
            elif kind == 1:
                p /= np.abs(p).max(1, keepdims=True)
            else:
                h = rng.uniform(0, 1, (pts, 1))
                p[:, :2] *= (1 - h) / np.linalg.norm(p[:, :2], axis=1, keepdims=True)
                p[:, 2:] = h
            nrm = np.cross(p, np.roll(p, 1, axis=0))
            if i == 401:
                nrm[17] = 0.0
            with np.errstate(all="ignore"):
                nrm = nrm / np.linalg.norm(nrm, axis=1, keepdims=True)
            feats = np.concatenate([p, nrm], 1)
            # fix: feats = np.nan_to_num(feats)
            self.items.append((torch.tensor(feats, dtype=torch.float32), kind))

    def __len__(self):
        return len(self.items)

    def __getitem__(self, i):
        return self.items[i]


class PointNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.mlp = nn.Sequential(nn.Linear(6, 64), nn.ReLU(), nn.Linear(64, 128), nn.ReLU())
        self.head = nn.Sequential(nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 3))

    def forward(self, x):
        h = self.mlp(x)
        return self.head(torch.cat([h.amax(1), h.mean(1)], -1))


torch.manual_seed(0)
net, dl = PointNet(), DataLoader(Scans(), batch_size=16, shuffle=True)
opt = torch.optim.AdamW(net.parameters(), lr=1e-3)
for epoch in range(8):
    losses = []
    for x, y in dl:
        loss = nn.functional.cross_entropy(net(x), y)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        losses.append(loss.item())
    print("epoch", epoch, sum(losses) / len(losses))
print("final loss", sum(losses) / len(losses))
