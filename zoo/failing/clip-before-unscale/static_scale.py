"""Regression of a table in half-precision style: a fixed loss scale, clipping and an update written by hand.

Cause: clip-before-unscale
Fails: stays at 1.0
"""

import torch
from torch import nn

SCALE = 2.0**14
torch.manual_seed(64)
table = torch.randn(3000, 12)
price = (table[:, 0] * 1.5 - table[:, 1] + torch.relu(table[:, 2]) * 2 + 0.1 * torch.randn(3000)).unsqueeze(1)
price = (price - price.mean()) / price.std()

net = nn.Sequential(nn.Linear(12, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU(), nn.Linear(64, 1))
params = list(net.parameters())
velocity = [torch.zeros_like(p) for p in params]
log = []

for step in range(400):
    rows = torch.randint(0, 3000, (64,))
    loss = (net(table[rows]) - price[rows]).square().mean()
    for p in params:
        p.grad = None
    (loss * SCALE).backward()
    torch.nn.utils.clip_grad_norm_(params, 2.0)  # fix: torch.nn.utils.clip_grad_norm_(params, 2.0 * SCALE)
    with torch.no_grad():
        for p, v in zip(params, velocity):
            v.mul_(0.9).add_(p.grad / SCALE)
            p.sub_(v, alpha=0.02)
    log.append(loss.item())

print("final loss", sum(log[-10:]) / 10)
