"""Metric learning with a margin: late batches often have a loss of exactly zero, and gradients of exactly zero."""

import torch
from torch import nn
from torch.nn.functional import normalize

torch.manual_seed(7)
people = torch.randn(12, 20)


def photos(who):
    return people[who] + 0.9 * torch.randn(len(who), 20)


embed = nn.Sequential(nn.Linear(20, 64), nn.PReLU(), nn.Linear(64, 12))
criterion = nn.TripletMarginLoss(margin=0.4)
optimizer = torch.optim.SGD(embed.parameters(), lr=0.15, momentum=0.9)
losses = []
for step in range(400):
    who = torch.randint(0, 12, (8,))
    other = (who + torch.randint(1, 12, (8,))) % 12
    anchor, positive, negative = (normalize(embed(photos(w)), dim=1) for w in (who, who, other))
    loss = criterion(anchor, positive, negative)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("batches without any loss", sum(x == 0 for x in losses))
print("final loss", sum(losses[-40:]) / 40)
