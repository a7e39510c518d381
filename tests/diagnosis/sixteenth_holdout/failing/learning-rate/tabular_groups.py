"""Tabular click model: category embeddings plus dense features, grouped rates.

Cause: learning-rate
Fails: loss jumps up in the first epoch and then sticks at the variance of the target,
because one parameter group (the dense tower) gets far too large a rate.
"""
import argparse
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

ap = argparse.ArgumentParser()
ap.add_argument("--epochs", type=int, default=13)
ap.add_argument("--batch", type=int, default=128)
ap.add_argument("--lr", type=float, default=0.05)
ap.add_argument("--seed", type=int, default=5)
args = ap.parse_args()
torch.manual_seed(args.seed)

N = 12000
cats = torch.stack([torch.randint(0, c, (N,)) for c in (40, 15, 200)], 1)
dense = torch.randn(N, 10)
eff = [torch.randn(c) for c in (40, 15, 200)]
w = torch.randn(10, 5)
dwell = sum(e[cats[:, i]] for i, e in enumerate(eff)) + torch.tanh(dense @ w).sum(1)
dwell = (dwell - dwell.mean()) / dwell.std() + 0.1 * torch.randn(N)


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.ModuleList(nn.Embedding(c, 12) for c in (40, 15, 200))
        self.tower = nn.Sequential(nn.Linear(10 + 36, 96), nn.ReLU(),
                                   nn.Linear(96, 48), nn.ReLU(), nn.Linear(48, 1))

    def forward(self, c, d):
        e = [m(c[:, i]) for i, m in enumerate(self.emb)]
        return self.tower(torch.cat(e + [d], 1)).squeeze(1)


model = Tower()
groups = [
    {"params": model.emb.parameters(), "lr": args.lr},
    {"params": model.tower.parameters(), "lr": args.lr * 20},  # fix: {"params": model.tower.parameters(), "lr": args.lr * 0.2},
]
opt = torch.optim.SGD(groups, lr=args.lr, momentum=0.9)
loader = DataLoader(TensorDataset(cats, dense, dwell), args.batch, shuffle=True)
for ep in range(args.epochs):
    s = n = 0
    for c, d, t in loader:
        loss = nn.functional.mse_loss(model(c, d), t)
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() * len(t)
        n += len(t)
    print("epoch", ep + 1, "mse", round(s / n, 5))
print(f"final loss {s / n}")
