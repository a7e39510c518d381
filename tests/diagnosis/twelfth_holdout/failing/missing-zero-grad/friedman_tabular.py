"""Tabular regression (Friedman benchmark) with an MLP.

Cause: missing-zero-grad
Fails: final test mse 2.744e+14 (with the fix 0.1316)
"""
import argparse
import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_friedman1

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=0.01)
parser.add_argument("--epochs", type=int, default=14)
parser.add_argument("--width", type=int, default=64)
args = parser.parse_args()
torch.manual_seed(81)

X, y = make_friedman1(n_samples=1600, n_features=10, noise=0.5, random_state=1)
X = ((X - X.mean(0)) / X.std(0)).astype(np.float32)
y = ((y - y.mean()) / y.std()).astype(np.float32)
X, y = torch.from_numpy(X), torch.from_numpy(y)
loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(X[:1280], y[:1280]), 40, shuffle=True)

model = nn.Sequential(
    nn.Linear(10, args.width), nn.ReLU(),
    nn.Linear(args.width, args.width), nn.ReLU(),
    nn.Linear(args.width, 1),
)
optimizer = torch.optim.SGD(model.parameters(), lr=args.lr, momentum=0.9)
scheduler = torch.optim.lr_scheduler.MultiStepLR(optimizer, [8, 12], 0.3)
ACCUM = 2


def train_epoch():
    total = 0.0
    for k, (xb, yb) in enumerate(loader):
        loss = ((model(xb).squeeze(1) - yb) ** 2).mean() / ACCUM
        loss.backward()
        if (k + 1) % ACCUM == 0:
            optimizer.step()
            # fix: optimizer.zero_grad()
        total += loss.item() * ACCUM
    return total / len(loader)


@torch.no_grad()
def evaluate(xe, ye):
    p = model(xe).squeeze(1)
    err = p - ye
    return (err ** 2).mean().item(), err.abs().mean().item()


for e in range(args.epochs):
    l = train_epoch()
    scheduler.step()
    print(f"Epoch {e + 1}: train mse {l:.4g}")

mse, mae = evaluate(X[1280:], y[1280:])
print(f"test mae {mae:.4g}")
print(f"final test mse: {mse:.4g}")
