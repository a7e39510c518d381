"""A 24-block pre-norm-free MLP tower on a toy physics table, Trainer with validation and best-checkpoint keeping.

Cause: vanishing-depth
Fails: without the skip path signal and gradient shrink by a constant factor per block, the loss stays at the target variance
"""

import copy

import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(19)
DEPTH, WIDTH = 24, 48


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc = nn.Linear(WIDTH, WIDTH)

    def forward(self, x):
        y = 0.5 * torch.tanh(self.fc(x))
        return y  # fix: return x + y


class Tower(nn.Module):
    def __init__(self, d_in):
        super().__init__()
        self.first = nn.Linear(d_in, WIDTH)
        self.blocks = nn.Sequential(*[Block() for _ in range(DEPTH)])
        self.last = nn.Linear(WIDTH, 1)
        with torch.no_grad():
            self.last.weight.mul_(0.1)

    def forward(self, x):
        return self.last(self.blocks(self.first(x))).squeeze(1)


def pendulum(n):
    x = torch.rand(n, 5) * 2 - 1
    energy = x[:, 0] ** 2 + torch.cos(2 * x[:, 1]) + x[:, 2] * x[:, 3]
    return x, (energy - 0.79) / 0.65 + 0.05 * torch.randn(n)


x_tr, y_tr = pendulum(2000)
x_va, y_va = pendulum(400)
model = Tower(5)
opt = torch.optim.SGD(model.parameters(), lr=0.002, momentum=0.9)
best, best_state, losses = float("inf"), None, []
for epoch in range(15):
    model.train()
    for idx in torch.randperm(2000).split(100):
        loss = F.mse_loss(model(x_tr[idx]), y_tr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        losses.append(loss.item())
    model.eval()
    with torch.no_grad():
        va = F.mse_loss(model(x_va), y_va).item()
    if va < best:
        best, best_state = va, copy.deepcopy(model.state_dict())
print(f"best validation {best:.4f}")
print("final loss", sum(losses[-10:]) / 10)
