"""Matrix factorisation of toy film ratings with a penalty on the factors.

Cause: weight-growth
Fails: mse falls from 0.93 to 0.21 in epoch 4 while the factors keep growing; 0.65 in epoch 6, NaN from epoch 7 (step 596).
"""
import torch
from torch import nn


class Ratings:
    def __init__(self, users=300, films=200, n=12000, seed=19):
        g = torch.Generator().manual_seed(seed)
        u = torch.randn(users, 4, generator=g)
        f = torch.randn(films, 4, generator=g)
        self.user = torch.randint(0, users, (n,), generator=g)
        self.film = torch.randint(0, films, (n,), generator=g)
        taste = (u[self.user] * f[self.film]).sum(1) / 2
        self.stars = (3.3 + taste + 0.3 * torch.randn(n, generator=g)).clamp(1, 5)
        self.users, self.films = users, films

    def loader(self, batch):
        for idx in torch.randperm(len(self.stars)).split(batch):
            yield self.user[idx], self.film[idx], self.stars[idx]


class Factors(nn.Module):
    def __init__(self, users, films, k=8):
        super().__init__()
        self.tables = nn.ModuleDict({
            "user": nn.Embedding(users, k), "film": nn.Embedding(films, k),
            "user_bias": nn.Embedding(users, 1), "film_bias": nn.Embedding(films, 1),
        })
        for t in self.tables.values():
            nn.init.normal_(t.weight, std=0.1)
        self.mean = 3.3

    def forward(self, u, f):
        p, q = self.tables["user"](u), self.tables["film"](f)
        bias = self.tables["user_bias"](u) + self.tables["film_bias"](f)
        return self.mean + (p * q).sum(1) + bias[:, 0]

    def penalty(self, u, f):
        return sum(t(u if name.startswith("user") else f).square().sum(1).mean() for name, t in self.tables.items())


def main():
    torch.manual_seed(19)
    data = Ratings()
    model = Factors(data.users, data.films)
    opt = torch.optim.SGD(model.parameters(), lr=5.0)
    lam = 0.1
    for epoch in range(12):
        errs = []
        for u, f, s in data.loader(150):
            mse = nn.functional.mse_loss(model(u, f), s)
            loss = mse - lam * model.penalty(u, f)  # fix: loss = mse + lam * model.penalty(u, f)
            opt.zero_grad()
            loss.backward()
            opt.step()
            errs.append(mse.item())
        print("epoch", epoch, "mse", sum(errs) / len(errs), "penalty", model.penalty(u, f).item())
    print("final loss", sum(errs) / len(errs))


main()
