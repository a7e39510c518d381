"""A small classifier of spiral arms in a trainer with callbacks and micro-batches.

Cause: missing-zero-grad
Fails: the loss swings ever wider and is not finite from step 266 on
"""
import math

import torch
from torch import nn


class Callback:
    def on_step(self, trainer): ...
    def on_end(self, trainer): ...


class Log(Callback):
    def __init__(self, every):
        self.every = every

    def on_step(self, tr):
        if tr.step % self.every == 0:
            print(f"[{tr.step}] {tr.last:.4f}")


class Tail(Callback):
    def __init__(self, n):
        self.n, self.xs = n, []

    def on_step(self, tr):
        self.xs = (self.xs + [tr.last])[-self.n:]

    def on_end(self, tr):
        tr.result = sum(self.xs) / len(self.xs)


class Trainer:
    def __init__(self, model, opt, callbacks, micro=4):
        self.model, self.opt, self.callbacks, self.micro = model, opt, callbacks, micro
        self.step, self.last, self.result = 0, 0.0, None

    def update(self, x, y):
        self.last = 0.0
        for xs, ys in zip(x.chunk(self.micro), y.chunk(self.micro)):
            loss = nn.functional.cross_entropy(self.model(xs), ys) / self.micro
            loss.backward()
            self.last += loss.item()
        self.opt.step()
        self.step += 1  # fix: self.step += 1; self.opt.zero_grad()
        for c in self.callbacks:
            c.on_step(self)

    def fit(self, source, steps):
        for _ in range(steps):
            self.update(*source())
        for c in self.callbacks:
            c.on_end(self)
        return self.result


def spirals(n=64, arms=3):
    y = torch.randint(0, arms, (n,))
    r = torch.rand(n)
    a = 3.5 * r + y * (2 * math.pi / arms) + 0.1 * torch.randn(n)
    return torch.stack([r * a.cos(), r * a.sin()], 1) * 2, y


torch.manual_seed(9)
net = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 3))
sgd = torch.optim.SGD(net.parameters(), lr=0.1, momentum=0.9)
print("final loss", Trainer(net, sgd, [Log(300), Tail(30)]).fit(spirals, 1500))
