"""Thirty layer dilated conv net (own module, no skips) that labels faults on a chlorine sensor series.

Cause: vanishing-depth
Fails: the loss falls to that of a constant guess and stays there (0.33)
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(39)
rng = np.random.default_rng(39)


def series(n, length=48):
    x = 0.6 + 0.1 * np.sin(np.arange(length)[None] / 4 + rng.uniform(0, 6, (n, 1))) + 0.04 * rng.normal(size=(n, length))
    y = np.zeros((n, length))
    for i in range(n):
        if rng.random() < 0.7:
            a = rng.integers(4, length - 12)
            b = a + rng.integers(4, 12)
            if rng.random() < 0.5:
                x[i, a:b] = x[i, a]
            else:
                x[i, a:b] += 0.5 * rng.choice([-1, 1])
            y[i, a:b] = 1
    return torch.tensor((x - 0.6)[:, None] / 0.15, dtype=torch.float32), torch.tensor(y, dtype=torch.float32)


class Unit(nn.Module):
    def __init__(self, ch, dil):
        super().__init__()
        self.conv = nn.Conv1d(ch, ch, 3, padding=dil, dilation=dil)

    def forward(self, x):
        return F.relu(self.conv(x))  # fix: return x + 0.2 * F.relu(self.conv(x))


class FaultNet(nn.Module):
    def __init__(self, ch=16, depth=30):
        super().__init__()
        self.stem = nn.Conv1d(1, ch, 5, padding=2)
        self.units = nn.Sequential(*[Unit(ch, 1 + k % 4) for k in range(depth)])
        self.head = nn.Conv1d(ch, 1, 1)

    def forward(self, x):
        return self.head(self.units(self.stem(x))).squeeze(1)


net = FaultNet()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
hist = []
for step in range(320):
    x, y = series(24)
    loss = F.binary_cross_entropy_with_logits(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 40 == 0:
        print(step, hist[-1])
print("final loss", float(np.mean(hist[-20:])))
