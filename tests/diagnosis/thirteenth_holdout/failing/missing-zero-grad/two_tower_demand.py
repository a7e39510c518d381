"""Retail demand: recurrent encoder with one optimizer, store/item embeddings with another.

Cause: missing-zero-grad
Fails: the loss is not finite from step 121 on (with the fix: final loss 0.01959)
"""
import torch
from torch import nn


class DemandModel(nn.Module):
    def __init__(self, stores=12, items=20):
        super().__init__()
        self.store = nn.Embedding(stores, 8)
        self.item = nn.Embedding(items, 8)
        self.enc = nn.GRU(1, 24, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(24 + 16, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, hist, s, i):
        h = self.enc(hist.unsqueeze(-1))[1][0]
        return self.mlp(torch.cat([h, self.store(s), self.item(i)], 1)).squeeze(1)


class World:
    def __init__(self, seed):
        self.g = torch.Generator().manual_seed(seed)
        self.a = torch.randn(12, generator=self.g)
        self.b = torch.randn(20, generator=self.g)

    def draw(self, n=64, T=21):
        s = torch.randint(0, 12, (n,), generator=self.g)
        i = torch.randint(0, 20, (n,), generator=self.g)
        lvl = self.a[s] + self.b[i]
        ph = torch.rand(n, 1, generator=self.g) * 6.28
        t = torch.arange(T + 1) * (6.28 / 7)
        series = 0.7 * torch.sin(t + ph) + 0.1 * torch.randn(n, T + 1, generator=self.g)
        return series[:, :-1], s, i, series[:, -1] + lvl


class Runner:
    def __init__(self):
        torch.manual_seed(0)
        self.m = DemandModel()
        dense = list(self.m.enc.parameters()) + list(self.m.mlp.parameters())
        tables = list(self.m.store.parameters()) + list(self.m.item.parameters())
        self.opt_dense = torch.optim.SGD(dense, lr=0.05, momentum=0.9)
        self.opt_tables = torch.optim.SGD(tables, lr=0.5, momentum=0.5)
        self.world = World(1)

    def step(self):
        *inp, y = self.world.draw()
        loss = (self.m(*inp) - y).square().mean()
        self.opt_dense.zero_grad()
        # fix: self.opt_tables.zero_grad()
        loss.backward()
        self.opt_dense.step()
        self.opt_tables.step()
        return loss.item()

    def run(self, n=500):
        hist = []
        for k in range(n):
            hist.append(self.step())
            if k % 100 == 99:
                print(f"{k + 1}: {sum(hist[-100:]) / 100:.4f}")
        return sum(hist[-50:]) / 50


print("final loss", Runner().run())
