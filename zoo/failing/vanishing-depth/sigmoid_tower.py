"""A tower of sigmoid layers tells two rings apart.

Cause: vanishing-depth
Fails: stays at 0.693
"""

import math

import torch
from torch import nn

torch.manual_seed(1)
count = 600
which = torch.arange(count) % 2
radius = 1.0 + which + 0.15 * torch.randn(count)
angle = 2 * math.pi * torch.rand(count)
points = torch.stack([radius * angle.cos(), radius * angle.sin()], 1)

modules = [nn.Linear(2, 32), nn.Tanh()]
for _ in range(9):
    modules.append(nn.Linear(32, 32))
    modules.append(nn.Sigmoid())  # fix: modules.append(nn.SELU())
modules.append(nn.Linear(32, 2))
net = nn.Sequential(*modules)

optimizer = torch.optim.SGD(net.parameters(), lr=0.01, momentum=0.9)
loss_fn = nn.CrossEntropyLoss()
losses = []
for epoch in range(30):
    order = torch.randperm(count)
    for i in range(0, count, 50):
        rows = order[i : i + 50]
        optimizer.zero_grad()
        loss = loss_fn(net(points[rows]), which[rows])
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    if epoch % 5 == 0:
        print(f"epoch {epoch:2d} loss {losses[-1]:.5f}")
print("final loss", sum(losses[-10:]) / 10)
