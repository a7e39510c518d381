"""Matrix factorisation with biases on a synthetic ratings log.

Cause: outlier-batch
Fails: final test rmse nan (with the fix 0.2994)
"""
import numpy as np
import torch
from torch import nn

rng = np.random.default_rng(3)
torch.manual_seed(3)
U, I, R, N = 200, 120, 4, 12000

pu, qi = rng.normal(0, .6, (U, R)), rng.normal(0, .6, (I, R))
bu, bi = rng.normal(0, .3, U), rng.normal(0, .5, I)
users, items = rng.integers(0, U, N), rng.integers(0, I, N)
stars = 3.4 + bu[users] + bi[items] + (pu[users] * qi[items]).sum(1) + rng.normal(0, .2, N)
stars = np.clip(stars, 0.5, 5)
log = [{"user": int(u), "item": int(i), "stars": float(s)} for u, i, s in zip(users, items, stars)]
for k in (2110, 7405):
    log[k]["stars"] = 1.6e9 + k

# fix: log = [r for r in log if 0 <= r["stars"] <= 5]
u = torch.tensor([r["user"] for r in log])
i = torch.tensor([r["item"] for r in log])
s = torch.tensor([r["stars"] for r in log], dtype=torch.float32)
n_tr = 10000


class MF(nn.Module):
    def __init__(self, dim=8):
        super().__init__()
        self.p, self.q = nn.Embedding(U, dim), nn.Embedding(I, dim)
        self.bu, self.bi = nn.Embedding(U, 1), nn.Embedding(I, 1)
        self.mu = nn.Parameter(torch.tensor(3.0))
        for e in (self.p, self.q):
            nn.init.normal_(e.weight, std=0.3)
        for e in (self.bu, self.bi):
            nn.init.zeros_(e.weight)

    def forward(self, u, i):
        return self.mu + (self.bu(u) + self.bi(i)).squeeze(1) + (self.p(u) * self.q(i)).sum(1)


model = MF()
opt = torch.optim.SGD([
    {"params": [model.p.weight, model.q.weight, model.bu.weight, model.bi.weight], "lr": 8.0},
    {"params": [model.mu], "lr": 0.05},
])
for epoch in range(6):
    order = torch.randperm(n_tr)
    run = []
    for j in order.split(128):
        opt.zero_grad()
        loss = (model(u[j], i[j]) - s[j]).square().mean()
        loss.backward()
        opt.step()
        run.append(loss.item())
    print(f"epoch {epoch + 1} train mse {np.mean(run):.4f}")

with torch.no_grad():
    pred = model(u[n_tr:], i[n_tr:])
    ok = s[n_tr:] <= 5
    rmse = (pred - s[n_tr:])[ok].square().mean().sqrt().item()
print(f"final test rmse {rmse:.4f}")
