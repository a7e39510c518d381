"""Standardising inside the model: a batch in which one column is constant is divided by zero.

Cause: unsafe-op
Fails: the loss is not finite from step 24 on
First bad: step 24, forward, div
"""

import torch
from torch import nn


class Standardise(nn.Module):
    def forward(self, x):
        return (x - x.mean(0)) / x.std(0)  # fix: return (x - x.mean(0)) / (x.std(0) + 1e-5)


torch.manual_seed(5)
model = nn.Sequential(Standardise(), nn.Linear(5, 24), nn.ELU(), nn.Linear(24, 1))
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
rare = (torch.rand(3000) < 0.15).float()
x = torch.cat([torch.randn(3000, 4), rare.unsqueeze(1)], 1)
y = x[:, :1] - 2 * x[:, 4:]
losses = []
for _ in range(2):
    for rows in torch.randperm(3000).split(24):
        loss = nn.functional.smooth_l1_loss(model(x[rows]), y[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
