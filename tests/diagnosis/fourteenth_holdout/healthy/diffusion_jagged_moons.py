"""A small diffusion model of two-dimensional points: the loss jitters with the drawn noise levels and ends far from zero,
as it has to; own AdamW step with decoupled decay."""

import math

import torch
from torch import nn

torch.manual_seed(28)
LEVELS = 50
beta = torch.linspace(1e-3, 0.15, LEVELS)
kept = (1 - beta).cumprod(0)


class Denoise(nn.Module):
    def __init__(self, width=64):
        super().__init__()
        self.level = nn.Embedding(LEVELS, 16)
        self.net = nn.Sequential(nn.Linear(18, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2))

    def forward(self, x, level):
        return self.net(torch.cat([x, self.level(level)], 1))


def spiral(count):
    turn = 3 * math.pi * torch.rand(count).sqrt()
    return torch.stack([turn * turn.cos(), turn * turn.sin()], 1) / 5 + 0.02 * torch.randn(count, 2)


def adamw(params, lr=2e-3, b1=0.9, b2=0.999, eps=1e-8, decay=0.01):
    params = list(params)
    m, v = [torch.zeros_like(p) for p in params], [torch.zeros_like(p) for p in params]
    t = 0
    while True:
        t += 1
        with torch.no_grad():
            for p, mi, vi in zip(params, m, v):
                mi.mul_(b1).add_(p.grad, alpha=1 - b1)
                vi.mul_(b2).add_(p.grad**2, alpha=1 - b2)
                p.mul_(1 - lr * decay)
                p.sub_(lr * (mi / (1 - b1**t)) / ((vi / (1 - b2**t)).sqrt() + eps))
                p.grad = None
        yield t


model = Denoise()
update = adamw(model.parameters())
losses = []
for step in range(900):
    x, level, noise = spiral(64), torch.randint(0, LEVELS, (64,)), torch.randn(64, 2)
    a = kept[level][:, None]
    loss = (model(a.sqrt() * x + (1 - a).sqrt() * noise, level) - noise).square().mean()
    loss.backward()
    next(update)
    losses.append(loss.item())
    if step % 100 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-60:]) / 60)
