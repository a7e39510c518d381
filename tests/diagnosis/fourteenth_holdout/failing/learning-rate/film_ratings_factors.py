"""Films and viewers get latent vectors from their ratings (matrix factorisation with biases), plain SGD.

Cause: learning-rate
Fails: the loss grows from the first step, NaN from step 5 on
"""

import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(55)
torch.manual_seed(55)
VIEWERS, FILMS, RANK = 120, 90, 6

tastes, themes = rng.normal(size=(VIEWERS, 3)), rng.normal(size=(FILMS, 3))
viewer, film = rng.integers(0, VIEWERS, 6000), rng.integers(0, FILMS, 6000)
stars = (tastes[viewer] * themes[film]).sum(1) * 0.6 + 0.2 * rng.normal(size=6000)
viewer, film = torch.tensor(viewer), torch.tensor(film)
stars = torch.tensor(stars, dtype=torch.float32)


class Factors(nn.Module):
    def __init__(self):
        super().__init__()
        self.viewer = nn.Embedding(VIEWERS, RANK)
        self.film = nn.Embedding(FILMS, RANK)
        self.viewer_bias = nn.Embedding(VIEWERS, 1)
        self.film_bias = nn.Embedding(FILMS, 1)
        for table in (self.viewer, self.film):
            nn.init.normal_(table.weight, std=0.3)
        for table in (self.viewer_bias, self.film_bias):
            nn.init.zeros_(table.weight)

    def forward(self, u, i):
        return (self.viewer(u) * self.film(i)).sum(-1) + (self.viewer_bias(u) + self.film_bias(i)).squeeze(-1)


def make_closure(model, optimizer, rows):
    def closure():
        optimizer.zero_grad()
        loss = (model(viewer[rows], film[rows]) - stars[rows]).square().mean()
        loss.backward()
        return loss
    return closure


model = Factors()
optimizer = torch.optim.SGD(model.parameters(), lr=100.0)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=5.0)
losses = []
for epoch in range(25):
    for rows in torch.randperm(6000).split(200):
        losses.append(optimizer.step(make_closure(model, optimizer, rows)).item())
    print(epoch, np.mean(losses[-30:]))
print("final loss", np.mean(losses[-30:]))
