"""Movie ratings with biased matrix factorisation and a small context net, per-batch L2 on the factors, SGD momentum.

Cause: weight-growth
Fails: the L2 term is subtracted, the factors are pushed outwards and nothing holds them; valid mse falls to 0.2 by epoch 3, climbs to 1 and 4 and is nan from about epoch 20 on
"""
import argparse
import numpy as np
import torch
import torch.nn as nn


class BiasedMF(nn.Module):
    def __init__(self, n_u, n_i, k, mu):
        super().__init__()
        self.mu = mu
        self.P, self.Q = nn.Embedding(n_u, k), nn.Embedding(n_i, k)
        self.bu, self.bi = nn.Embedding(n_u, 1), nn.Embedding(n_i, 1)
        nn.init.normal_(self.P.weight, std=0.3); nn.init.normal_(self.Q.weight, std=0.3)
        nn.init.zeros_(self.bu.weight); nn.init.zeros_(self.bi.weight)
        self.hour = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 1))

    def forward(self, u, i, h):
        p, q = self.P(u), self.Q(i)
        r = self.mu + self.bu(u)[:, 0] + self.bi(i)[:, 0] + (p * q).sum(1) + self.hour(h)[:, 0]
        return r, p.pow(2).sum(1) + q.pow(2).sum(1)


def ratings(n_u, n_i, n, rng):
    P, Q = rng.standard_normal((n_u, 3)), rng.standard_normal((n_i, 3))
    bu, bi = 0.4 * rng.standard_normal(n_u), 0.5 * rng.standard_normal(n_i)
    u, i, h = rng.integers(0, n_u, n), rng.integers(0, n_i, n), rng.uniform(0, 24, n)
    r = 3.4 + bu[u] + bi[i] + 0.45 * (P[u] * Q[i]).sum(1) + 0.2 * np.sin(h / 24 * 6.283) + 0.3 * rng.standard_normal(n)
    t = lambda a: torch.tensor(a)
    return t(u), t(i), torch.tensor(np.stack([np.sin(h / 24 * 6.283), np.cos(h / 24 * 6.283)], 1), dtype=torch.float32), torch.tensor(r, dtype=torch.float32)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--k", type=int, default=8)
    ap.add_argument("--reg", type=float, default=0.05)
    ap.add_argument("--lr", type=float, default=4.0)
    ap.add_argument("--epochs", type=int, default=25)
    a = ap.parse_args()
    torch.manual_seed(66)
    rng = np.random.default_rng(66)
    u, i, h, r = ratings(200, 150, 12000, rng)
    tr = 10000
    model = BiasedMF(200, 150, a.k, r[:tr].mean().item())
    net = list(model.hour.parameters())
    tables = [p for n, p in model.named_parameters() if not n.startswith("hour")]
    # a row of a table sees about one rating of each batch, hence the bold rate
    opt = torch.optim.SGD([{"params": tables, "lr": a.lr}, {"params": net, "lr": 0.05}], momentum=0.5)
    for ep in range(a.epochs):
        for b in torch.randperm(tr).split(200):
            pred, l2 = model(u[b], i[b], h[b])
            loss = (pred - r[b]).pow(2).mean() - a.reg * l2.mean()  # fix: loss = (pred - r[b]).pow(2).mean() + a.reg * l2.mean()
            opt.zero_grad()
            loss.backward()
            opt.step()
        with torch.no_grad():
            pred, l2 = model(u[tr:], i[tr:], h[tr:])
            v = (pred - r[tr:]).pow(2).mean().item()
        print(f"epoch {ep:2d} objective {loss.item():.4f} valid mse {v:.4f} mean |p|^2+|q|^2 {l2.mean().item():.2f}")
    print("final loss", v)


if __name__ == "__main__":
    main()
