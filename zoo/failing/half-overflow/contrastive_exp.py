"""Contrastive pairs (InfoNCE written out) from two noisy views of a table row, a model in float16, SGD in float32.

Cause: half-overflow
Fails: the loss is not finite from step 0 on
First bad: step 0, loss, exp
"""

import copy

import torch
from torch import nn
from torch.nn.functional import normalize

torch.manual_seed(5)
TEMPERATURE = 0.07
master = nn.Sequential(nn.Linear(20, 64), nn.ReLU(), nn.Linear(64, 32))
model = copy.deepcopy(master).half()
optimizer = torch.optim.SGD(master.parameters(), lr=0.1, momentum=0.9)
rows = torch.randn(600, 20)


def info_nce(a, b):
    similarity = (a @ b.t()) / TEMPERATURE  # fix: similarity = (a @ b.t()).float() / TEMPERATURE
    weight = similarity.exp()
    return -(weight.diagonal() / weight.sum(1)).float().log().mean()


def push():
    for p, q in zip(model.parameters(), master.parameters()):
        p.data.copy_(q.data)


losses = []
for step in range(200):
    picked = rows[torch.randint(0, len(rows), (32,))]
    one, two = (picked + 0.9 * torch.randn_like(picked) for _ in range(2))
    loss = info_nce(normalize(model(one.half()), dim=1), normalize(model(two.half()), dim=1))
    model.zero_grad()
    loss.backward()
    for p, q in zip(model.parameters(), master.parameters()):
        q.grad = p.grad.float()
    optimizer.step()
    push()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
