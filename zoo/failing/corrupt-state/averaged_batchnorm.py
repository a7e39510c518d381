"""A pretrained conv net with averaged BatchNorm statistics is fine-tuned in eval mode on a second task.

Cause: corrupt-state
Fails: the loss is not finite from step 60 on, where the fine-tuning begins
First bad: step 0, forward, native_batch_norm
"""

import copy

import torch
from torch import nn

torch.manual_seed(66)


def gratings(count, thick):
    grid = torch.arange(12.0)
    labels = torch.randint(0, 2, (count,))
    wave = torch.where(labels[:, None, None] == 0, grid[None, :, None], grid[None, None, :])
    phase = 6.3 * torch.rand(count, 1, 1)
    images = torch.sin(wave * (0.8 if thick else 1.6) + phase) + 1.0 * torch.randn(count, 12, 12)
    return images.unsqueeze(1), labels


def build():
    return nn.Sequential(
        nn.Conv2d(1, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(8, 16, 3, padding=1),
        nn.BatchNorm2d(16),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(2),
        nn.Flatten(),
        nn.Linear(64, 2),
    )


class Averaged:
    """Slowly moving copy of the buffers; the weights are taken as they are."""

    def __init__(self, model, decay=0.8):
        self.copy, self.decay = copy.deepcopy(model), decay

    @torch.no_grad()
    def update(self, model):
        for mine, other in zip(self.copy.parameters(), model.parameters()):
            mine.copy_(other)
        for mine, other in zip(self.copy.buffers(), model.buffers()):
            if mine.is_floating_point():
                mine.mul_(self.decay).sub_(other, alpha=1 - self.decay)  # fix: mine.lerp_(other, 1 - self.decay)


def epoch(model, optimizer, images, labels, averaged=None):
    losses = []
    for rows in torch.randperm(len(images)).split(32):
        loss = nn.functional.cross_entropy(model(images[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if averaged:
            averaged.update(model)
        losses.append(loss.item())
    return losses


model = build()
averaged = Averaged(model)
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
first = gratings(480, thick=True)
losses = []
for _ in range(4):
    losses += epoch(model, optimizer, *first, averaged)
print("pretrained", losses[-1])

model = averaged.copy.eval()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
second = gratings(480, thick=False)
for _ in range(6):
    losses += epoch(model, optimizer, *second)
print("final loss", sum(losses[-10:]) / 10)
