"""Claim amounts with heavy tails (Student t with 1.5 degrees, times 5), Huber loss, one-cycle with a high peak."""
import argparse

import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset

parser = argparse.ArgumentParser()
parser.add_argument("--peak", type=float, default=0.03)
parser.add_argument("--epochs", type=int, default=12)
opts = parser.parse_args()

torch.manual_seed(33)
X = torch.randn(4000, 8)
signal = 40 * torch.sin(X[:, 0]) + 25 * X[:, 1] * (X[:, 2] > 0)
noise = torch.distributions.StudentT(1.5).sample((4000,)) * 5
Y = signal + noise
loader = DataLoader(TensorDataset(X, Y), batch_size=40, shuffle=True)
net = nn.Sequential(nn.Linear(8, 64), nn.LayerNorm(64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
opt = torch.optim.AdamW(net.parameters(), lr=opts.peak)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, opts.peak, total_steps=opts.epochs * len(loader))
huber = nn.HuberLoss(delta=5.0)
for epoch in range(opts.epochs):
    total = 0.0
    for x, y in loader:
        loss = huber(net(x).squeeze(1), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        total += loss.item()
    print("epoch", epoch, total / len(loader))
print("final loss", total / len(loader))
