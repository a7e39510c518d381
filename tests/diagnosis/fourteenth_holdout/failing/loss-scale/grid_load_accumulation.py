"""A temporal conv net forecasts the grid's load in many micro batches; their gradients are accumulated.

Cause: loss-scale
Fails: grows from the first update on (2e4 at micro batch 80), then NaN
"""

import math

import torch
from torch import nn

ACCUMULATE = 40


def grid_load(hours):
    t = torch.arange(float(hours))
    base = torch.cos(2 * math.pi * t / 24) + 0.4 * torch.cos(2 * math.pi * t / 12 + 1)
    return base * torch.where((t // 24) % 7 > 4, 0.6, 1.0) + 0.1 * torch.randn(hours)


class LoadNet(nn.Module):
    def __init__(self, width=12):
        super().__init__()
        self.enter = nn.Conv1d(1, width, 1)
        self.layers = nn.ModuleList(nn.Conv1d(width, width, 3, dilation=d) for d in (1, 3, 6))
        self.leave = nn.Linear(width, 1)

    def forward(self, x):
        h = self.enter(x.unsqueeze(1))
        for layer in self.layers:
            h = h[..., -(h.shape[-1] - 2 * layer.dilation[0]):] + torch.relu(layer(h))
        return self.leave(h[..., -1]).squeeze(1)


torch.manual_seed(31)
load = grid_load(1500)
model = LoadNet()
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.5)
losses = []
for micro in range(1600):
    at = torch.randint(0, 1500 - 49, (8,)).tolist()
    window = torch.stack([load[a : a + 49] for a in at])
    loss = nn.functional.mse_loss(model(window[:, :48]), window[:, 48])
    loss.backward()  # fix: (loss / ACCUMULATE).backward()
    losses.append(loss.item())
    if (micro + 1) % ACCUMULATE == 0:
        optimizer.step()
        optimizer.zero_grad()
    if micro % 200 == 0:
        print(micro, loss.item())
print("final loss", sum(losses[-80:]) / 80)
