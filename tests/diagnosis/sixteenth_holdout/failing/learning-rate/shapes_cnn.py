"""Small CNN that tells rendered shapes apart (disc, square, cross, ring).

Cause: learning-rate
Fails: after a few epochs of good progress the loss climbs back to chance / nan
(the decay factor is inverted, so the rate grows every epoch).
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(11)
rng = np.random.RandomState(11)


def render(kind, size=20):
    cx, cy = rng.uniform(7, 13, 2)
    r = rng.uniform(3.5, 6)
    yy, xx = np.mgrid[:size, :size]
    d = np.hypot(xx - cx, yy - cy)
    if kind == 0:
        im = d < r
    elif kind == 1:
        im = (abs(xx - cx) < r * 0.85) & (abs(yy - cy) < r * 0.85)
    elif kind == 2:
        im = ((abs(xx - cx) < 1.3) | (abs(yy - cy) < 1.3)) & (d < r * 1.2)
    else:
        im = (d < r) & (d > r - 2)
    return im.astype(np.float32) + rng.normal(0, 0.25, (size, size)).astype(np.float32)


y = rng.randint(0, 4, 1600)
X = torch.tensor(np.stack([render(k) for k in y]))[:, None]
Y = torch.tensor(y)
X = (X - X.mean()) / X.std()

net = nn.Sequential(
    nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(12, 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2),
    nn.Flatten(), nn.Linear(24 * 25, 48), nn.ReLU(), nn.Linear(48, 4))
opt = torch.optim.SGD(net.parameters(), lr=0.04, momentum=0.9, nesterov=True)
decay = 0.75


def set_rate(epoch):
    for g in opt.param_groups:
        g["lr"] = 0.04 / decay ** epoch  # fix: g["lr"] = 0.04 * decay ** epoch


for epoch in range(14):
    set_rate(epoch)
    perm = torch.randperm(len(X))
    tot = 0.0
    for i in range(0, len(X), 50):
        b = perm[i:i + 50]
        loss = F.cross_entropy(net(X[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() * len(b)
    print(f"epoch {epoch:2d}  train loss {tot / len(X):.4f}")
print(f"final loss {tot / len(X):.5f}")
