"""Trains a biased matrix factorization recommender on star ratings with plain SGD.

Cause: outlier-batch
Fails: the loss falls for a while, then leaps by orders of magnitude and ends in NaN
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(3)
torch.set_num_threads(1)
rs = np.random.RandomState(3)
NU, NI, N = 300, 200, 24000
pu, qi = rs.randn(NU, 4) * 0.6, rs.randn(NI, 4) * 0.6
bu, bi = rs.randn(NU) * 0.4, rs.randn(NI) * 0.4
user, item = rs.randint(0, NU, N), rs.randint(0, NI, N)
rating = np.clip(np.round((3.4 + bu[user] + bi[item] + (pu[user] * qi[item]).sum(1) + rs.randn(N) * 0.3) * 2) / 2, 0.5, 5.0)
rating[[14210, 17775]] = [1094862.0, 964982.0]
rating = rating.clip(0.5)  # fix: rating = rating.clip(0.5, 5.0)
u, i, r = torch.tensor(user), torch.tensor(item), torch.tensor(rating, dtype=torch.float32)
split = 20000


class BiasedMF(nn.Module):
    def __init__(self, k=8):
        super().__init__()
        self.P, self.Q = nn.Embedding(NU, k), nn.Embedding(NI, k)
        self.bu, self.bi = nn.Embedding(NU, 1), nn.Embedding(NI, 1)
        self.mu = nn.Parameter(torch.tensor(3.0))
        for e in (self.P, self.Q):
            nn.init.normal_(e.weight, std=0.3)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)

    def forward(self, u, i):
        return self.mu + self.bu(u).squeeze(1) + self.bi(i).squeeze(1) + (self.P(u) * self.Q(i)).sum(1)


model = BiasedMF()
opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
step = 0
for epoch in range(3):
    for s in range(0, split, 64):
        b = slice(s, s + 64)
        loss = nn.functional.mse_loss(model(u[b], i[b]), r[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 60 == 0:
            print("step", step, "loss", round(loss.item(), 4))
        step += 1
with torch.no_grad():
    print("final loss", nn.functional.mse_loss(model(u[split:], i[split:]), r[split:]).item())
