"""Sixty tanh layers with orthogonal weights at the edge of chaos (dynamical isometry): deep, plain and sound."""

import torch
from torch import nn


def build(depth=60, width=32):
    layers = []
    for _ in range(depth):
        linear = nn.Linear(width, width)
        nn.init.orthogonal_(linear.weight, gain=1.02)
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.Tanh()]
    return nn.Sequential(*layers, nn.Linear(width, 2))


torch.manual_seed(17)
model = build()
optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
x = torch.randn(512, 32)
y = (x[:, 0] * x[:, 1] > 0).long()
for step in range(150):
    rows = torch.randint(0, 512, (64,))
    loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 30 == 0:
        print(step, loss.item())
with torch.no_grad():
    print("final loss", nn.functional.cross_entropy(model(x), y).item())
