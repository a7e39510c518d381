"""Daily spread prediction (spreads are mostly negative) with a three-layer net.

Cause: dead-units
Fails: a ReLU follows the last layer, outputs are pushed to zero, after which the whole
net gets no gradient; loss freezes at the mean square of the target.
"""
from collections import OrderedDict
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(64)
mk = torch.randn(3000, 12)
spread = -1.5 + 0.8 * torch.sin(mk[:, 0] + mk[:, 1]) + 0.3 * mk[:, 2] * mk[:, 3]


def mlp(sizes):
    od = OrderedDict()
    for i, (a, b) in enumerate(zip(sizes, sizes[1:])):
        od[f"fc{i}"] = nn.Linear(a, b)
        if i < len(sizes) - 1:  # fix: if i < len(sizes) - 2:
            od[f"act{i}"] = nn.ReLU()
    return nn.Sequential(od)


net = mlp([12, 96, 96, 1])
opt = torch.optim.RMSprop(net.parameters(), lr=5e-4)
sched = torch.optim.lr_scheduler.StepLR(opt, 12, 0.4)
for ep in range(60):
    s = 0.0
    for b in torch.randperm(3000).split(60):
        loss = F.mse_loss(net(mk[b]).flatten(), spread[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() / 50
    sched.step()
    if ep % 4 == 0:
        print("epoch", ep, "mse", round(s, 5))
print("final loss", round(s, 6))
