"""Forecasts energy use from building sensors with a residual MLP, plain SGD with momentum.

Cause: outlier-batch
Fails: a few rows carry the logger's fill value; the batch that meets them throws the weights far away, NaN three steps later
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rs = np.random.RandomState(13)
N = 6000
temp = rs.normal(15, 8, N)
occ = rs.poisson(30, N)
hour = rs.randint(0, 24, N)
kwh = 50 + 1.5 * np.maximum(18 - temp, 0) + 0.8 * occ * (np.abs(hour - 13) < 5) + rs.normal(0, 2, N)
table = np.stack([(temp - 15) / 8, (occ - 30) / 5.5, np.sin(hour * np.pi / 12), np.cos(hour * np.pi / 12)], 1)
target = (kwh - kwh.mean()) / kwh.std()
for row in (2711, 4402, 5003):
    table[row, 0] = (32767.0 - 15) / 8  # logger was off

X = torch.tensor(table, dtype=torch.float32)
# fix: X = X.clamp(-6, 6)
Y = torch.tensor(target, dtype=torch.float32)


class ResMLP(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.stem = nn.Linear(4, d)
        self.a, self.b = nn.Linear(d, d), nn.Linear(d, d)
        self.head = nn.Linear(d, 1)

    def forward(self, x):
        h = F.relu(self.stem(x))
        h = h + F.relu(self.a(h))
        h = h + F.relu(self.b(h))
        return self.head(h).squeeze(-1)


def run(epochs=6, bs=64):
    torch.manual_seed(0)
    net = ResMLP()
    opt = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
    for ep in range(epochs):
        order = torch.randperm(N) if ep else torch.arange(N)
        acc = 0.0
        for i in order.split(bs):
            loss = F.mse_loss(net(X[i]), Y[i])
            opt.zero_grad()
            loss.backward()
            opt.step()
            acc += loss.item() * len(i) / N
        print("epoch", ep, "train mse", acc)
    return acc


print("final loss", run())
