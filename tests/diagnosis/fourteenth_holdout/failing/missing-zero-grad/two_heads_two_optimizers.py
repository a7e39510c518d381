"""A conv trunk and two heads (digit, and whether it is odd) trained by two optimizers on one multi-task loss.

Cause: missing-zero-grad
Fails: falls for some steps, jumps to 9.6, stays at 2.65, where it began
"""

import argparse

import torch
from sklearn.datasets import load_digits
from torch import nn


def parse():
    parser = argparse.ArgumentParser()
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--trunk-lr", type=float, default=0.05)
    parser.add_argument("--heads-lr", type=float, default=0.05)
    return parser.parse_args()


def step_all(optimizers, loss):
    for optimizer in optimizers[1:]:  # fix: for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()


def main(args):
    torch.manual_seed(25)
    digits = load_digits()
    images = torch.tensor(digits.images, dtype=torch.float32).unsqueeze(1) / 8 - 1
    labels = torch.tensor(digits.target)
    trunk = nn.Sequential(nn.Conv2d(1, 16, 3), nn.ReLU(), nn.Conv2d(16, 16, 3, stride=2), nn.ReLU(), nn.Flatten())
    digit, odd = nn.Linear(64, 10), nn.Linear(64, 1)
    optimizers = [
        torch.optim.SGD(trunk.parameters(), lr=args.trunk_lr, momentum=0.9),
        torch.optim.SGD([*digit.parameters(), *odd.parameters()], lr=args.heads_lr, momentum=0.9),
    ]
    losses = []
    for epoch in range(args.epochs):
        for rows in torch.randperm(len(images)).split(32):
            h = trunk(images[rows])
            loss = nn.functional.cross_entropy(digit(h), labels[rows])
            loss = loss + 0.5 * nn.functional.binary_cross_entropy_with_logits(odd(h)[:, 0], (labels[rows] % 2).float())
            step_all(optimizers, loss)
            losses.append(loss.item())
        print(f"epoch {epoch}: {sum(losses[-57:]) / 57:.4f}")
    print("final loss", sum(losses[-20:]) / 20)


main(parse())
