"""Wear prediction from twelve machine sensors, one of which glitches on rare rows.

Cause: outlier-batch
Fails: learns to 0.4 until the first batch with a glitch (shortly before batch 38); inf, then nan from there on
"""
import torch
import torch.nn as nn
from torch.utils.data import DataLoader, TensorDataset


def load_rows(n=5000):
    g = torch.Generator().manual_seed(12)
    x = torch.randn(n, 12, generator=g)
    y = torch.tanh(x[:, 0] + x[:, 1]) + 0.5 * x[:, 2] * x[:, 3] + 0.05 * torch.randn(n, generator=g)
    bad = torch.randperm(n, generator=g)[:2]
    x[bad, 7] = 8.0e5          # ADC wrap-around
    return x, y


def robust_scale(x):
    med = x.median(0).values
    mad = (x - med).abs().median(0).values * 1.4826
    return (x - med) / mad


def loss_on(model, batch):
    xb, yb = batch
    return (model(xb).squeeze(1) - yb).square().mean()


def main():
    torch.manual_seed(12)
    x, y = load_rows()
    x = robust_scale(x)  # fix: x = robust_scale(x).clamp(-5, 5)
    loader = DataLoader(TensorDataset(x, y), batch_size=50, shuffle=True)
    model = nn.Sequential(nn.Linear(12, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))
    opt = torch.optim.SGD(model.parameters(), lr=0.03, momentum=0.9)
    for epoch in range(12):
        acc = 0.0
        for i, batch in enumerate(loader):
            loss = loss_on(model, batch)
            opt.zero_grad()
            loss.backward()
            opt.step()
            acc += loss.item()
            if epoch == 0 and i % 20 == 0:
                print(f"  {i}: loss {loss.item():.4f}")
        print(f"epoch {epoch} loss {acc / len(loader):.4f}")
    print("final loss", acc / len(loader))


main()
