"""Logistic regression by full-batch gradient descent with rates far above the habit: it is convex and learns well.

Variants: --lr 1 | --lr 5 | --lr 10
"""

import argparse

import torch
import torch.nn.functional as F

parser = argparse.ArgumentParser()
parser.add_argument("--lr", type=float, default=1.0)
args = parser.parse_args()

torch.manual_seed(1)
features = torch.randn(500, 20)
truth = torch.randn(20)
labels = (features @ truth + 0.5 * torch.randn(500) > 0).float()

weight = torch.zeros(20, requires_grad=True)
bias = torch.zeros(1, requires_grad=True)
optimizer = torch.optim.SGD([weight, bias], lr=args.lr)

for _ in range(400):
    loss = F.binary_cross_entropy_with_logits(features @ weight + bias, labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

print("final loss", loss.item())
