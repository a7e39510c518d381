"""Small residual convnet on the 8x8 digits, OneCycle schedule, two parameter groups.

Cause: learning-rate
Fails: the loss is not finite from step 55 on (with the fix: final loss 0.3722)
"""
import argparse

import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

ap = argparse.ArgumentParser()
ap.add_argument("--epochs", type=int, default=8)
ap.add_argument("--bs", type=int, default=48)
ap.add_argument("--body-lr", type=float, default=0.05)
ap.add_argument("--head-lr", type=float, default=30.0)  # fix: ap.add_argument("--head-lr", type=float, default=0.05)
ap.add_argument("--width", type=int, default=16)
args = ap.parse_args([])

torch.manual_seed(0)
d = load_digits()
X = torch.tensor(d.images, dtype=torch.float32).unsqueeze(1) / 16.0 - 0.3
y = torch.tensor(d.target)
perm = torch.randperm(len(X))
X, y = X[perm], y[perm]
Xtr, ytr, Xte, yte = X[:1400], y[:1400], X[1400:], y[1400:]


class Block(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.a = nn.Conv2d(c, c, 3, padding=1)
        self.b = nn.Conv2d(c, c, 3, padding=1)

    def forward(self, x):
        return x + 0.5 * self.b(F.relu(self.a(x)))


body = nn.Sequential(nn.Conv2d(1, args.width, 3, padding=1), Block(args.width), Block(args.width),
                     nn.ReLU(), nn.AdaptiveAvgPool2d(2), nn.Flatten())
head = nn.Linear(args.width * 4, 10)

opt = torch.optim.SGD([
    {"params": body.parameters(), "lr": args.body_lr},
    {"params": head.parameters(), "lr": args.head_lr},
], lr=args.body_lr, momentum=0.9)
steps = args.epochs * ((len(Xtr) + args.bs - 1) // args.bs)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=[args.body_lr, args.head_lr], total_steps=steps)

for ep in range(args.epochs):
    order = torch.randperm(len(Xtr))
    for idx in order.split(args.bs):
        loss = F.cross_entropy(head(body(Xtr[idx])), ytr[idx])
        opt.zero_grad()
        loss.backward()
        opt.step()
        sched.step()
    with torch.no_grad():
        logits = head(body(Xte))
        val = F.cross_entropy(logits, yte).item()
        acc = (logits.argmax(1) == yte).float().mean().item()
    print(f"[{ep + 1}/{args.epochs}] val loss {val:.4f} acc {acc:.3f} lr {sched.get_last_lr()}")

print("final loss", val)
