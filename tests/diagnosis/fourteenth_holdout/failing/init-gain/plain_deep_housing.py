"""A plain 16-layer perceptron without normalisation fits a made-up price surface.

Cause: init-gain
Fails: a first loss of 2e5, NaN from step 1 on
"""

import torch
from torch import nn


class Deep(nn.Module):
    def __init__(self, depth=16, width=128):
        super().__init__()
        self.first = nn.Linear(6, width)
        self.body = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.last = nn.Linear(width, 1)
        self.reset()

    def reset(self):
        for layer in [self.first, *self.body]:
            nn.init.normal_(layer.weight, std=(8 / layer.in_features) ** 0.5)  # fix: nn.init.normal_(layer.weight, std=(2 / layer.in_features) ** 0.5)
            nn.init.zeros_(layer.bias)

    def forward(self, x):
        h = torch.relu(self.first(x))
        for layer in self.body:
            h = torch.relu(layer(h))
        return self.last(h).squeeze(-1)


def prices(count):
    x = torch.randn(count, 6)
    y = x[:, 0] * x[:, 1] + torch.sin(2 * x[:, 2]) + 0.5 * x[:, 3].abs() - 0.3 * x[:, 4]
    return x, (y - 0.4) / 1.4


def main():
    torch.manual_seed(2)
    x, y = prices(4000)
    model = Deep()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.8)
    losses = []
    for epoch in range(10):
        for rows in torch.randperm(len(x)).split(64):
            loss = nn.functional.huber_loss(model(x[rows]), y[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        print(f"epoch {epoch} {sum(losses[-62:]) / 62:.5g}")
    print("final loss", sum(losses[-20:]) / 20)


main()
