"""A multilayer perceptron sorts wines, k-fold.

Cause: dead-units
Fails: the loss stays at 1.09, where it began, in every fold
"""

import torch
from sklearn.datasets import load_wine
from torch import nn


def mlp(features, classes, bias=-8.0):  # fix: def mlp(features, classes, bias=-0.1):
    layers = []
    for a, b in [(features, 64), (64, 64), (64, 64)]:
        linear = nn.Linear(a, b)
        nn.init.kaiming_normal_(linear.weight)
        nn.init.constant_(linear.bias, bias)
        layers += [linear, nn.ReLU()]
    return nn.Sequential(*layers, nn.Linear(64, classes))


def folds(count, k, rng):
    order = torch.randperm(count, generator=rng)
    for i in range(k):
        held = order[i::k]
        mask = torch.ones(count, dtype=torch.bool)
        mask[held] = False
        yield mask.nonzero().squeeze(1), held


torch.manual_seed(30)
rng = torch.Generator().manual_seed(30)
wine = load_wine()
x = torch.tensor(wine.data, dtype=torch.float32)
x = (x - x.mean(0)) / x.std(0)
y = torch.tensor(wine.target)

everything = []
for fold, (train, held) in enumerate(folds(len(x), 4, rng)):
    model = mlp(13, 3)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    for epoch in range(60):
        model.train()
        for rows in train[torch.randperm(len(train), generator=rng)].split(24):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            loss.backward()
            optimizer.step()
            everything.append(loss.item())
    model.eval()
    with torch.no_grad():
        accuracy = (model(x[held]).argmax(1) == y[held]).float().mean().item()
    print(f"fold {fold}: loss {everything[-1]:.4f}, accuracy {accuracy:.3f}")
print("final loss", sum(everything[-20:]) / 20)
