"""Sixty residual layers with scaled branches, cyclic learning rate, SWA at the end, a loss summed over the batch."""

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

torch.manual_seed(60)


class Layer(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.norm = nn.LayerNorm(width)
        self.linear = nn.Linear(width, width)
        self.scale = depth**-0.5

    def forward(self, x):
        return x + self.scale * torch.relu(self.linear(self.norm(x)))


model = nn.Sequential(nn.Linear(6, 24), *[Layer(24, 60) for _ in range(60)], nn.Linear(24, 1))
averaged = AveragedModel(model)
optimizer = torch.optim.SGD(model.parameters(), lr=1e-5, momentum=0.9)
cycle = torch.optim.lr_scheduler.CyclicLR(optimizer, base_lr=1e-5, max_lr=5e-4, step_size_up=30, mode="triangular2")


def batch(count=64):
    x = torch.rand(count, 6) * 2 - 1
    return x, torch.sin(3 * x[:, :1]) + x[:, 1:2] * x[:, 2:3]


losses = []
for step in range(180):
    x, y = batch()
    optimizer.zero_grad()
    loss = (model(x) - y).square().sum()
    loss.backward()
    optimizer.step()
    cycle.step()
    if step >= 150:
        averaged.update_parameters(model)
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
