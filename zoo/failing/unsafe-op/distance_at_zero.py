"""Siamese training with a Euclidean distance: two equal samples meet, and sqrt has no derivative at zero.

Cause: unsafe-op
Fails: the loss is not finite from step 8 on
First bad: step 7, backward, sqrt
"""

import torch
from torch import nn


class Siamese(nn.Module):
    def __init__(self):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(12, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, a, b):
        return ((self.net(a) - self.net(b)) ** 2).sum(1).sqrt()  # fix: return ((self.net(a) - self.net(b)) ** 2).sum(1).add(1e-8).sqrt()


def contrastive(distance, same, margin=1.0):
    return (same * distance**2 + (1 - same) * torch.relu(margin - distance) ** 2).mean()


torch.manual_seed(14)
model = Siamese()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
centres = torch.randn(200, 12)
losses = []
for _ in range(300):
    i, j = torch.randint(0, 200, (2, 16))
    same = (i % 4 == j % 4).float()
    loss = contrastive(model(centres[i], centres[j]), same)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
