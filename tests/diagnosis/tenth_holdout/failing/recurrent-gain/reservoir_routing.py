"""Routing of catchment runoff through a chain of linear stores (hydrology, daily discharge, learned transfer matrix).

Cause: recurrent-gain
Fails: the mse stays at that of a constant guess (1.0)
"""
import argparse
import numpy as np
import torch

parser = argparse.ArgumentParser()
parser.add_argument("--stores", type=int, default=24)
parser.add_argument("--days", type=int, default=120)
parser.add_argument("--steps", type=int, default=150)
parser.add_argument("--lr", type=float, default=0.01)
args = parser.parse_args()

torch.manual_seed(11)
rs = np.random.RandomState(11)

n = 2500
rain = rs.gamma(0.25, 18.0, n) * (rs.rand(n) < 0.45)
pet = 2.2 + 1.9 * np.sin(2 * np.pi * np.arange(n) / 365.25)
q = np.zeros(n)
fast = slow = 0.0
for d in range(n):
    eff = max(rain[d] - pet[d], 0)
    fast = 0.72 * fast + 0.7 * eff
    slow = 0.965 * slow + 0.3 * eff
    q[d] = 0.28 * fast + 0.035 * slow
X = np.stack([np.log1p(rain), pet / 4.0], 1).astype("f4")
Y = ((np.log1p(q) - np.log1p(q).mean()) / np.log1p(q).std()).astype("f4")


class Stores(torch.nn.Module):
    def __init__(self, k):
        super().__init__()
        self.A = torch.nn.Parameter(torch.eye(k) + 0.05 * torch.randn(k, k))  # fix: self.A = torch.nn.Parameter(0.9 * torch.eye(k) + 0.005 * torch.randn(k, k))
        self.Bm = torch.nn.Parameter(0.1 * torch.randn(k, 2))
        self.head = torch.nn.Sequential(torch.nn.Linear(k, 16), torch.nn.Tanh(), torch.nn.Linear(16, 1))

    def forward(self, x):
        s = x.new_zeros(x.shape[0], self.A.shape[0])
        out = []
        for t in range(x.shape[1]):
            s = s @ self.A.T + x[:, t] @ self.Bm.T
            out.append(s)
        return self.head(torch.stack(out, 1)).squeeze(-1)


model = Stores(args.stores)
opt = torch.optim.RMSprop(model.parameters(), lr=args.lr / 5)
X, Y = torch.tensor(X), torch.tensor(Y)
log = []
for step in range(args.steps):
    starts = rs.randint(0, n - args.days, 16)
    xb = torch.stack([X[s:s + args.days] for s in starts])
    yb = torch.stack([Y[s:s + args.days] for s in starts])
    sim = model(xb)
    loss = ((sim - yb)[:, 30:] ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 25 == 0:
        print("step", step, "mse", log[-1])
print("final loss", float(np.mean(log[-15:])))
