"""A deep chain of logistic layers classifies irises, SGD with momentum.

Cause: vanishing-depth
Fails: the loss stays at 1.10, where it began
"""

import torch
from sklearn.datasets import load_iris
from torch import nn


def layer(a, b):
    return nn.Sequential(nn.Linear(a, b), nn.Sigmoid())  # fix: return nn.Sequential(nn.Linear(a, b), nn.LayerNorm(b), nn.ELU())


class Chain(nn.Module):
    def __init__(self, depth=10, width=24):
        super().__init__()
        self.layers = nn.Sequential(layer(4, width), *[layer(width, width) for _ in range(depth)])
        self.head = nn.Linear(width, 3)

    def forward(self, x):
        return self.head(self.layers(x))


def run(seed=18, epochs=60):
    torch.manual_seed(seed)
    iris = load_iris()
    x, y = torch.tensor(iris.data, dtype=torch.float32), torch.tensor(iris.target)
    x = (x - x.mean(0)) / x.std(0)
    model = Chain()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    log = []
    for epoch in range(epochs):
        for rows in torch.randperm(len(x)).split(25):
            loss = nn.functional.cross_entropy(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            log.append(loss.item())
        if epoch % 10 == 0:
            print(f"epoch {epoch}: {log[-1]:.4f}")
    print("final loss", sum(log[-18:]) / 18)


run()
