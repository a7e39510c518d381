"""Movie ratings by biased matrix factorisation, fast.ai-course style dot-product model.

Cause: learning-rate
Fails: the factors leave the stable region within the first epoch and the loss becomes nan
"""

import torch
from torch import nn

torch.manual_seed(21)
n_users, n_movies, n_factors = 120, 80, 8

true_u, true_m = torch.randn(n_users, 4) * 0.6, torch.randn(n_movies, 4) * 0.6
users = torch.randint(0, n_users, (6000,))
movies = torch.randint(0, n_movies, (6000,))
ratings = (true_u[users] * true_m[movies]).sum(1) + 0.3 * torch.randn(6000)
ratings = (ratings - ratings.mean()) / ratings.std()


class DotProductBias(nn.Module):
    def __init__(self):
        super().__init__()
        self.user_factors = nn.Embedding(n_users, n_factors)
        self.user_bias = nn.Embedding(n_users, 1)
        self.movie_factors = nn.Embedding(n_movies, n_factors)
        self.movie_bias = nn.Embedding(n_movies, 1)
        for e in self.children():
            nn.init.normal_(e.weight, 0, 0.1)

    def forward(self, u, m):
        dot = (self.user_factors(u) * self.movie_factors(m)).sum(dim=1)
        return dot + self.user_bias(u).squeeze(1) + self.movie_bias(m).squeeze(1)


class Learner:
    def __init__(self, model, lr, bs=500):
        self.model, self.bs = model, bs
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.losses = []

    def fit(self, n_epochs):
        for epoch in range(n_epochs):
            for idx in torch.randperm(len(ratings)).split(self.bs):
                preds = self.model(users[idx], movies[idx])
                loss = (preds - ratings[idx]).pow(2).mean()
                loss.backward()
                self.opt.step()
                self.opt.zero_grad()
                self.losses.append(loss.item())
            print(epoch, round(self.losses[-1], 4))


learn = Learner(DotProductBias(), lr=90.0)  # fix: learn = Learner(DotProductBias(), lr=2.0)
learn.fit(30)
print("final loss", sum(learn.losses[-10:]) / 10)
