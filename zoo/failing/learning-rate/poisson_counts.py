"""Poisson regression of event counts with an exponential link and a generous rate.

Cause: learning-rate
Fails: the loss is not finite from step 23 on
First bad: step 23, forward, addmm
"""

import torch
from torch import nn

torch.manual_seed(9)
x = torch.randn(1000, 6)
rate = torch.exp(x @ torch.tensor([0.8, -0.5, 0.6, 0.9, 0.0, 0.3]) + 1)
counts = torch.poisson(rate)
model = nn.Sequential(nn.Linear(6, 24), nn.ReLU(), nn.Linear(24, 1))
optimizer = torch.optim.SGD(model.parameters(), lr=0.05)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=0.005)
for _ in range(10):
    for rows in torch.randperm(1000).split(50):
        log_rate = model(x[rows]).squeeze(1)
        loss = (log_rate.exp() - counts[rows] * log_rate).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
with torch.no_grad():
    log_rate = model(x).squeeze(1)
    print("final loss", (log_rate.exp() - counts * log_rate).mean().item())
