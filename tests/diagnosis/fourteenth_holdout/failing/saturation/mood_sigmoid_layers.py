"""Bags of words of made-up reviews are sorted into three moods by sigmoid layers.

Cause: saturation
Fails: the loss stays at 1.10, where it began
"""

import torch
from torch import nn


def reviews(count, vocabulary, g):
    mood = torch.randint(0, 3, (count,), generator=g)
    lean = torch.zeros(3, vocabulary)
    for m in range(3):
        lean[m, m * 6 : m * 6 + 6] = 1.2
    counts = torch.poisson((lean[mood]).exp() * 0.5, generator=g)
    return torch.log1p(counts), mood


def squashed(inputs, hidden, outputs, offset):
    layers = []
    width = inputs
    for _ in range(3):
        linear = nn.Linear(width, hidden)
        nn.init.xavier_uniform_(linear.weight)
        nn.init.constant_(linear.bias, offset)
        layers += [linear, nn.Sigmoid()]
        width = hidden
    return nn.Sequential(*layers, nn.Linear(width, outputs))


def train(model, x, mood, epochs=15):
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    history = []
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(50):
            loss = nn.functional.cross_entropy(model(x[rows]), mood[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        print(epoch, sum(history[-24:]) / 24)
    return history


torch.manual_seed(88)
x, mood = reviews(1200, 50, torch.Generator().manual_seed(88))
model = squashed(50, 32, 3, offset=25.0)  # fix: model = squashed(50, 32, 3, offset=0.0)
history = train(model, x, mood)
print("final loss", sum(history[-24:]) / 24)
