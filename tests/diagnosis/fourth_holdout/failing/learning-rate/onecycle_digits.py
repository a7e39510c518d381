"""A small conv net on the 8x8 digits with a one-cycle schedule.

Cause: learning-rate
Fails: learns to 1.85 in forty steps, is thrown back as the rate rises (epoch 1) and ends at 2.31, chance among ten
"""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits
from torch.utils.data import DataLoader, TensorDataset, random_split


def get_args():
    p = argparse.ArgumentParser()
    p.add_argument("--epochs", type=int, default=8)
    p.add_argument("--batch-size", type=int, default=32)
    p.add_argument("--max-lr", type=float, default=1.0)  # fix: p.add_argument("--max-lr", type=float, default=0.05)
    p.add_argument("--seed", type=int, default=7)
    return p.parse_args()


class ConvNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.c1 = nn.Conv2d(1, 12, 3, padding=1)
        self.c2 = nn.Conv2d(12, 24, 3, padding=1)
        self.fc1 = nn.Linear(24 * 4, 48)
        self.fc2 = nn.Linear(48, 10)

    def forward(self, x):
        x = F.max_pool2d(F.relu(self.c1(x)), 2)
        x = F.max_pool2d(F.relu(self.c2(x)), 2)
        return self.fc2(F.relu(self.fc1(x.flatten(1))))


@torch.no_grad()
def evaluate(model, loader):
    model.eval()
    total, n, ok = 0.0, 0, 0
    for x, y in loader:
        out = model(x)
        total += F.cross_entropy(out, y, reduction="sum").item()
        ok += (out.argmax(1) == y).sum().item()
        n += len(y)
    model.train()
    return total / n, ok / n


def main():
    args = get_args()
    torch.manual_seed(args.seed)
    d = load_digits()
    x = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16 - 0.3
    ds = TensorDataset(x, torch.tensor(d.target))
    train, test = random_split(ds, [1500, len(ds) - 1500])
    tl = DataLoader(train, args.batch_size, shuffle=True)
    vl = DataLoader(test, 256)
    model = ConvNet()
    opt = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4)
    sched = torch.optim.lr_scheduler.OneCycleLR(
        opt, max_lr=args.max_lr, total_steps=args.epochs * len(tl), pct_start=0.4)
    for ep in range(args.epochs):
        for i, (xb, yb) in enumerate(tl):
            opt.zero_grad(set_to_none=True)
            loss = F.cross_entropy(model(xb), yb)
            loss.backward()
            opt.step()
            sched.step()
            if ep == 0 and i % 20 == 0:
                print(f"it {i} loss {loss.item():.4f}")
        vloss, acc = evaluate(model, vl)
        print(f"epoch {ep} val loss {vloss:.4f} acc {acc:.3f} lr {sched.get_last_lr()[0]:.4f}")
    print("final loss", vloss)


if __name__ == "__main__":
    main()
