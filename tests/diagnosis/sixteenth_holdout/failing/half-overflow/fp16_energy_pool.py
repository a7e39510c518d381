"""Event detector: half-precision features with energy pooling, float32 head.

Cause: half-overflow
Fails: nan loss from the first step on, squared sums pass 65504 in float16.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(101)


def make(n, T=64):
    y = torch.randint(0, 3, (n,))
    t = torch.arange(T).float()
    w = torch.sin(t * torch.tensor([0.2, 0.5, 1.0])[y][:, None] + 6.28 * torch.rand(n, 1))
    return w[:, None] + 0.5 * torch.randn(n, 1, T), y


class Detector(nn.Module):
    def __init__(self, c=32):
        super().__init__()
        self.front = nn.Conv1d(1, c, 9, padding=4)
        self.mid = nn.Conv1d(c, c, 5, padding=2)
        self.gain = nn.Parameter(torch.full((c, 1), 40.0))
        self.head = nn.Sequential(nn.LayerNorm(c), nn.Linear(c, 3))

    def forward(self, x):
        with torch.autocast("cpu", dtype=torch.float16):
            h = self.mid(F.relu(self.front(x)))
            h = self.gain.to(h.dtype) * h * 4
        energy = h.square().sum(-1)  # fix: energy = h.float().square().sum(-1)
        return self.head(torch.log1p(energy.float()))


net = Detector()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3)
X, Y = make(2000)
for epoch in range(8):
    tot = 0.0
    for idx in torch.randperm(2000).split(50):
        loss = F.cross_entropy(net(X[idx]), Y[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        tot += loss.item() / 40
    print("epoch", epoch, "loss", round(tot, 4))
print("final loss", tot)
