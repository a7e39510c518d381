"""Apex-style hand-written mixed precision with a static loss scale on a tabular classifier.

Cause: half-overflow
Fails: the scaled gradients exceed the float16 range in the backward pass, every weight is nan after the first update
First bad: step 0, backward, aten._to_copy, ToCopyBackward0
"""

from dataclasses import dataclass

import torch
from torch import nn
import torch.nn.functional as F


@dataclass
class Args:
    lr: float = 0.05
    momentum: float = 0.9
    static_loss_scale: float = 2.0**27  # fix: static_loss_scale: float = 2.0**10
    steps: int = 200
    batch: int = 64


class FP16Optimizer:
    """Unscales the gradients and steps the wrapped optimizer, nothing more."""

    def __init__(self, optimizer, scale):
        self.optimizer, self.scale = optimizer, scale

    def zero_grad(self):
        self.optimizer.zero_grad()

    def backward(self, loss):
        (loss.float() * self.scale).backward()
        for group in self.optimizer.param_groups:
            for p in group["params"]:
                p.grad.div_(self.scale)

    def step(self):
        self.optimizer.step()


def spiral(n, classes=3):
    y = torch.randint(0, classes, (n,))
    r = torch.rand(n) * 2
    a = r * 2.2 + y * 6.2832 / classes + 0.15 * torch.randn(n)
    return torch.stack([r * a.cos(), r * a.sin()], 1), y


def main(args):
    torch.manual_seed(55)
    net = nn.Sequential(nn.Linear(2, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 3))
    opt = FP16Optimizer(torch.optim.SGD(net.parameters(), args.lr, args.momentum), args.static_loss_scale)
    losses = []
    for step in range(args.steps):
        x, y = spiral(args.batch)
        with torch.autocast("cpu", dtype=torch.float16):
            logits = net(x)
        loss = F.cross_entropy(logits.float(), y)
        opt.zero_grad()
        opt.backward(loss)
        opt.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


if __name__ == "__main__":
    main(Args())
