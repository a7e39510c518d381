"""A conv net marks the pixels that belong to a rare blob; biases are set for a small prior, as detectors do.

Cause: dead-units
Fails: stays at 0.23, the entropy of the prior
"""

import math

import torch
from torch import nn


def blobs(count, size=16):
    grid = torch.arange(size).float()
    cy, cx = torch.rand(2, count, 1, 1) * 10 + 3
    distance = (grid[None, :, None] - cy) ** 2 + (grid[None, None, :] - cx) ** 2
    mask = (distance < 5).float()
    images = mask + 0.4 * torch.randn(count, size, size)
    return images.unsqueeze(1), mask.unsqueeze(1)


class Detector(nn.Module):
    def __init__(self, prior=0.01):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(1, 12, 3, padding=1), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=1), nn.ReLU()
        )
        self.head = nn.Conv2d(12, 1, 3, padding=1)
        for module in self.modules():  # fix: for module in [self.head]:
            if isinstance(module, nn.Conv2d):
                nn.init.constant_(module.bias, -math.log((1 - prior) / prior))

    def forward(self, x):
        return self.head(self.body(x))


torch.manual_seed(27)
images, masks = blobs(640)
model = Detector()
optimizer = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
losses = []
for epoch in range(8):
    for rows in torch.randperm(640).split(32):
        loss = nn.functional.binary_cross_entropy_with_logits(model(images[rows]), masks[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print(f"epoch {epoch} loss {losses[-1]:.4f}")
p = masks.mean()
print("entropy of the prior", -(p * p.log() + (1 - p) * (1 - p).log()).item())
print("final loss", sum(losses[-10:]) / 10)
