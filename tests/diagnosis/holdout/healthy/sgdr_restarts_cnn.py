"""Cosine annealing with warm restarts on a BatchNorm CNN; the loss rises at each restart and comes back lower."""

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(3)
proto = torch.randn(6, 1, 10, 10)
y = torch.randint(0, 6, (960,))
x = proto[y] + 1.6 * torch.randn(960, 1, 10, 10)
dl = DataLoader(TensorDataset(x, y), batch_size=32, shuffle=True)

model = nn.Sequential(
    nn.Conv2d(1, 16, 3, padding=1, bias=False),
    nn.BatchNorm2d(16),
    nn.ReLU(),
    nn.MaxPool2d(2),
    nn.Conv2d(16, 24, 3, bias=False),
    nn.BatchNorm2d(24),
    nn.ReLU(),
    nn.Flatten(),
    nn.Dropout(0.2),
    nn.LazyLinear(6),
)
model(x[:2])
opt = torch.optim.SGD(model.parameters(), lr=0.15, momentum=0.9, weight_decay=1e-4, nesterov=True)
sched = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=60, T_mult=2)
losses = []
for epoch in range(6):
    for xb, yb in dl:
        loss = F.cross_entropy(model(xb), yb, label_smoothing=0.05)
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
        losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
