"""A coupling flow with zero-initialised last layers on two moons of narrow width: the negative log-likelihood crosses
zero and goes on into the negative."""

import math

import torch
from torch import nn


class Coupling(nn.Module):
    def __init__(self, flip):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
        nn.init.zeros_(self.net[-1].weight)
        nn.init.zeros_(self.net[-1].bias)

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        log_scale, shift = self.net(a).chunk(2, 1)
        log_scale = 2.5 * torch.tanh(log_scale / 2.5)
        b = (b + shift) * log_scale.exp()
        return torch.cat([b, a] if self.flip else [a, b], 1), log_scale.squeeze(1)


def moons(count):
    angle = math.pi * torch.rand(count)
    lower = torch.rand(count) < 0.5
    x = torch.where(lower, 1 - angle.cos(), angle.cos())
    y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
    return 0.3 * (torch.stack([x - 0.5, y - 0.25], 1) + 0.03 * torch.randn(count, 2))


torch.manual_seed(84)
flow = nn.ModuleList(Coupling(i % 2 == 1) for i in range(6))
optimizer = torch.optim.Adam(flow.parameters(), lr=2e-3)
scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 450)
losses = []
for step in range(450):
    z, log_det = moons(128), 0.0
    for coupling in flow:
        z, part = coupling(z)
        log_det = log_det + part
    loss = (0.5 * z.square().sum(1) + math.log(2 * math.pi) - log_det).mean()
    optimizer.zero_grad()
    loss.backward()
    total = torch.stack([p.grad.norm() for p in flow.parameters()]).norm()
    for p in flow.parameters():
        p.grad.mul_(min(1.0, 3.0 / (total.item() + 1e-6)))
    optimizer.step()
    scheduler.step()
    losses.append(loss.item())
    if step % 60 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
