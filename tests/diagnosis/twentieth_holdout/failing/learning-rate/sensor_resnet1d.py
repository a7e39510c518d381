"""Activity recognition from accelerometer windows with a 1-d ResNet, large batches and plain SGD.

Cause: learning-rate
Fails: the loss jumps up within a few steps and ends in NaN
"""
import numpy as np
import torch
from torch import nn

torch.manual_seed(1)
np.random.seed(1)

CLASSES = ["walk", "run", "stairs", "sit", "cycle"]
FREQ = [1.8, 2.8, 1.4, 0.1, 1.1]
AMP = [1.0, 2.0, 1.2, 0.1, 0.7]


def make(n, length=64, rate=25.0):
    y = np.random.randint(0, 5, n)
    t = np.arange(length) / rate
    xs = np.empty((n, 3, length), dtype=np.float32)
    for i, k in enumerate(y):
        f = FREQ[k] * np.random.uniform(0.85, 1.15)
        ph = np.random.uniform(0, 2 * np.pi, 3)[:, None]
        g = np.random.normal(0, 0.4, 3)[:, None]
        xs[i] = AMP[k] * np.sin(2 * np.pi * f * t + ph) + 0.3 * AMP[k] * np.sin(4 * np.pi * f * t + ph) + g + 0.4 * np.random.randn(3, length)
    return torch.from_numpy(xs), torch.from_numpy(y)


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c1 = nn.Conv1d(c, c, 5, padding=2)
        self.c2 = nn.Conv1d(c, c, 5, padding=2)

    def forward(self, x):
        return x + 0.5 * self.c2(torch.relu(self.c1(torch.relu(x))))


def build():
    return nn.Sequential(nn.Conv1d(3, 24, 7, padding=3, stride=2), Block(24), Block(24), nn.MaxPool1d(2), Block(24), Block(24),
                         nn.AdaptiveAvgPool1d(1), nn.Flatten(), nn.Linear(24, 5))


BATCH = 128
BASE_LR = 0.05
X, y = make(4096)
Xv, yv = make(1000)
mu, sd = X.mean((0, 2), keepdim=True), X.std((0, 2), keepdim=True)
X, Xv = (X - mu) / sd, (Xv - mu) / sd

net = build()
lr = BASE_LR * BATCH / 4  # fix: lr = BASE_LR * BATCH / 128
opt = torch.optim.SGD(net.parameters(), lr=lr, momentum=0.9)
lossf = nn.CrossEntropyLoss()
for epoch in range(6):
    perm = torch.randperm(len(X))
    for b in range(0, len(X), BATCH):
        sel = perm[b:b + BATCH]
        out = net(X[sel])
        loss = lossf(out, y[sel])
        opt.zero_grad()
        loss.backward()
        opt.step()
    print("epoch", epoch, "loss", loss.item())
with torch.no_grad():
    print("final loss", lossf(net(Xv), yv).item())
