"""Trains a DeepFM click model on Criteo-like rows with categorical ids and counter features.

Cause: nonfinite-data
Fails: the loss is NaN from the first batch with certain rows on
"""
import numpy as np
import torch
import torch.nn as nn

torch.manual_seed(17)
torch.set_num_threads(1)
rs = np.random.RandomState(17)
N, F_CAT, CARD, F_NUM, K = 16000, 6, 50, 3, 8
cats = rs.randint(0, CARD, (N, F_CAT))
counts = np.floor(np.exp(rs.randn(N, F_NUM) * 0.8 + 4.5))
counts[rs.rand(N) < 0.0004, 1] = 0.0
w, inter = rs.randn(F_CAT, CARD) * 0.5, rs.randn(CARD, CARD) * 0.7
dense = np.log(counts)  # fix: dense = np.log1p(counts)
dense = dense - 4.5
logit = w[np.arange(F_CAT), cats].sum(1) + inter[cats[:, 0], cats[:, 1]] + 0.8 * (np.log1p(counts) - 4.5)[:, 0] - 1.0
click = (rs.rand(N) < 1 / (1 + np.exp(-logit))).astype(np.float32)
Xc, Xn, Y = torch.tensor(cats), torch.tensor(dense, dtype=torch.float32), torch.tensor(click)
offsets = torch.arange(F_CAT) * CARD


class DeepFM(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear, self.emb = nn.Embedding(F_CAT * CARD, 1), nn.Embedding(F_CAT * CARD, K)
        nn.init.normal_(self.emb.weight, std=0.05)
        nn.init.zeros_(self.linear.weight)
        self.num = nn.Linear(F_NUM, 1)
        self.mlp = nn.Sequential(nn.Linear(F_CAT * K + F_NUM, 64), nn.ReLU(), nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, c, n):
        e = self.emb(c + offsets)
        fm = 0.5 * (e.sum(1) ** 2 - (e ** 2).sum(1)).sum(1)
        return self.linear(c + offsets).sum((1, 2)) + self.num(n).squeeze(1) + fm + self.mlp(torch.cat([e.flatten(1), n], 1)).squeeze(1)


model = DeepFM()
opt = torch.optim.Adam(model.parameters(), lr=2e-3, weight_decay=1e-5)
bce = nn.BCEWithLogitsLoss()
step = 0
for epoch in range(4):
    for s in range(0, 14000, 100):
        b = slice(s, s + 100)
        loss = bce(model(Xc[b], Xn[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        if step % 60 == 0:
            print("step", step, "loss", round(loss.item(), 4))
        step += 1
with torch.no_grad():
    print("final loss", bce(model(Xc[14000:], Xn[14000:]), Y[14000:]).item())
