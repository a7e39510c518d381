"""A conv net that regresses the angle of a bar from 8-bit grey images.

Cause: input-scale
Fails: the loss is not finite from step 2 on
First bad: step 2, loss, mse_loss
"""

import math

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = np.random.default_rng(12)


def draw(n, size=14):
    """uint8 pictures of a bar through the centre, and (cos 2a, sin 2a)."""
    angle = rng.uniform(0, math.pi, n)
    grid = np.arange(size) - (size - 1) / 2
    dist = grid[None, :, None] * np.cos(angle)[:, None, None] - grid[None, None, :] * np.sin(angle)[:, None, None]
    picture = 255 * np.exp(-(dist**2) / 2) * 0.9 + rng.uniform(0, 25, (n, size, size))
    return picture.astype(np.uint8), np.stack([np.cos(2 * angle), np.sin(2 * angle)], 1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 8, 3, padding=1)
        self.conv2 = nn.Conv2d(8, 16, 3, padding=1)
        self.fc1 = nn.Linear(16 * 9, 32)
        self.fc2 = nn.Linear(32, 2)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.conv1(x)), 2)
        x = F.max_pool2d(F.relu(self.conv2(x)), 2)
        x = F.relu(self.fc1(x.flatten(1)))
        return self.fc2(x)


torch.manual_seed(12)
pictures, targets = draw(1200)
pictures = torch.from_numpy(pictures).float().unsqueeze(1)
# fix: pictures = pictures / 255
targets = torch.from_numpy(targets).float()

net = Net()
optimizer = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
losses = []
for epoch in range(5):
    order = torch.randperm(1200)
    for i in range(0, 1200, 40):
        batch = order[i : i + 40]
        loss = F.mse_loss(net(pictures[batch]), targets[batch])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
