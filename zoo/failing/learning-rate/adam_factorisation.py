"""Matrix factorisation of a synthetic ratings table with embeddings and Adam.

Cause: learning-rate
Fails: the loss rises from 0.78 to 4e5 and is still about 10 at the end
"""

import torch
from torch import nn


class Factors(nn.Module):
    def __init__(self, users, items, rank):
        super().__init__()
        self.users = nn.Embedding(users, rank)
        self.items = nn.Embedding(items, rank)
        self.mix = nn.Sequential(nn.Linear(rank, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))

    def forward(self, u, i):
        return self.mix(self.users(u) * self.items(i)).squeeze(1)


def ratings(n, users, items):
    taste, style = torch.randn(users, 3), torch.randn(items, 3)
    u, i = torch.randint(0, users, (n,)), torch.randint(0, items, (n,))
    score = (taste[u] * style[i]).sum(1)
    return u, i, (score - score.mean()) / score.std()


def main():
    torch.manual_seed(6)
    u, i, score = ratings(4000, 60, 40)
    model = Factors(60, 40, 8)
    optimizer = torch.optim.Adam(model.parameters(), lr=1.0)  # fix: optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for step in range(400):
        rows = torch.randint(0, len(u), (128,))
        loss = nn.functional.mse_loss(model(u[rows], i[rows]), score[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main()
