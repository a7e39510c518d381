"""Recommendations: users and films as embeddings, the rating between 0 and 1 is the sigmoid of their product.

Cause: saturation
Fails: stays at 0.31, where it began (sound: 0.08 falling to 0.0004)
"""

import argparse

import torch
from torch import nn


class Factors(nn.Module):
    def __init__(self, users, films, rank):
        super().__init__()
        self.user = nn.Embedding(users, rank)
        self.film = nn.Embedding(films, rank)
        for table in (self.user, self.film):
            nn.init.normal_(table.weight, std=4.0)  # fix: nn.init.normal_(table.weight, std=0.1)

    def forward(self, u, f):
        return torch.sigmoid((self.user(u) * self.film(f)).sum(1))


def ratings(users, films, count):
    taste, style = torch.randn(users, 3), torch.randn(films, 3)
    u, f = torch.randint(0, users, (count,)), torch.randint(0, films, (count,))
    score = torch.sigmoid((taste[u] * style[f]).sum(1))
    return u, f, (score * 10).round() / 10


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--rank", type=int, default=64)
    parser.add_argument("--epochs", type=int, default=20)
    args = parser.parse_args()

    torch.manual_seed(83)
    u, f, rating = ratings(60, 40, 2000)
    model = Factors(60, 40, args.rank)
    optimizer = torch.optim.SGD(model.parameters(), lr=5.0, momentum=0.8, nesterov=True)
    history = []
    for epoch in range(args.epochs):
        for rows in torch.randperm(2000).split(100):
            loss = nn.functional.mse_loss(model(u[rows], f[rows]), rating[rows])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            history.append(loss.item())
        if epoch % 5 == 0:
            print(f"epoch {epoch}: {history[-1]:.4f}")
    print("final loss", sum(history[-10:]) / 10)


main()
