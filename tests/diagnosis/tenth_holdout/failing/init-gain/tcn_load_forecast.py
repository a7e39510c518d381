"""TCN that predicts the next hour of electric load for a small grid from the last 96 hours.

Cause: init-gain
Fails: the loss starts at 4e8 and is not finite from step 1 on
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(7)
rng = np.random.default_rng(7)


def make_series(hours=6000):
    t = np.arange(hours)
    temp = 11 + 9 * np.sin(2 * np.pi * (t / 8760 - 0.3)) + 4 * np.sin(2 * np.pi * t / 24) + rng.normal(0, 1, hours)
    weekend = ((t // 24) % 7 >= 5).astype(float)
    load = 420 + 90 * np.sin(2 * np.pi * (t - 8) / 24) + 30 * np.sin(4 * np.pi * t / 24)
    load += 6 * np.maximum(16 - temp, 0) - 70 * weekend + rng.normal(0, 12, hours)
    x = np.stack([load, temp, weekend * 1.0], 1)
    return ((x - x.mean(0)) / x.std(0)).astype(np.float32)


class CausalBlock(nn.Module):
    def __init__(self, ch, dilation):
        super().__init__()
        self.pad = 2 * dilation
        self.c1 = nn.Conv1d(ch, ch, 3, dilation=dilation)
        self.c2 = nn.Conv1d(ch, ch, 1)
        for c in (self.c1, self.c2):
            nn.init.kaiming_normal_(c.weight, nonlinearity="relu")
            nn.init.zeros_(c.bias)
        # fix: self.c2.weight.data.mul_(0.1)

    def forward(self, x):
        h = F.relu(self.c1(F.pad(x, (self.pad, 0))))
        return x + self.c2(h)


class TCN(nn.Module):
    def __init__(self, ch=24, cycles=4):
        super().__init__()
        self.inp = nn.Conv1d(3, ch, 1)
        self.blocks = nn.Sequential(*[CausalBlock(ch, 2 ** i) for _ in range(cycles) for i in range(5)])
        self.out = nn.Linear(ch, 1)

    def forward(self, x):
        h = self.blocks(self.inp(x.transpose(1, 2)))
        return self.out(h[:, :, -1]).squeeze(-1)


data = torch.from_numpy(make_series())
net = TCN()
opt = torch.optim.SGD(net.parameters(), lr=3e-3, momentum=0.9)
W, B = 96, 32
hist = []
for step in range(160):
    i = torch.randint(0, len(data) - W - 1, (B,))
    xb = torch.stack([data[j:j + W] for j in i])
    yb = torch.stack([data[j + W, 0] for j in i])
    loss = F.mse_loss(net(xb), yb)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 40 == 0:
        print(f"step {step} mse {loss.item():.4f}")
print("final loss", float(np.mean(hist[-20:])))
