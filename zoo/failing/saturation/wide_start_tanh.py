"""A tanh perceptron fits a bumpy surface; the weights start from a wide normal distribution.

Cause: saturation
Fails: stays at 0.95, close to the variance of the surface
"""

import torch
from torch import nn

torch.manual_seed(4)

HIDDEN = 48
STD = 20.0  # fix: STD = 0.2


def surface(p):
    return torch.sin(1.5 * p[:, :1]) + p[:, 1:2] * p[:, 2:3] / 2


def draw(count=100):
    points = torch.rand(count, 10) * 4 - 2
    return points, surface(points)


layers = []
for width_in in (10, HIDDEN, HIDDEN, HIDDEN, HIDDEN):
    layers += [nn.Linear(width_in, HIDDEN), nn.Tanh()]
model = nn.Sequential(*layers, nn.Linear(HIDDEN, 1))
for layer in model[:-1]:
    if isinstance(layer, nn.Linear):
        nn.init.normal_(layer.weight, std=STD)
        nn.init.zeros_(layer.bias)
nn.init.zeros_(model[-1].weight)

optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
losses = []
for i in range(500):
    points, heights = draw()
    loss = (model(points) - heights).pow(2).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("variance", draw(4000)[1].var().item())
print("final loss", sum(losses[-10:]) / 10)
