"""Deep autoencoder for a bank of correlated process sensors, anomaly score = reconstruction error.

Cause: vanishing-depth
Fails: final loss 1.026 (with the fix 0.008119)
"""
from dataclasses import dataclass
import torch
from torch import nn


@dataclass
class C:
    sensors: int = 24
    width: int = 48
    depth: int = 22
    steps: int = 500
    lr: float = 1e-3


class Stack(nn.Module):
    def __init__(self, width, depth):
        super().__init__()
        self.blocks = nn.ModuleList(nn.Sequential(nn.Linear(width, width), nn.Tanh()) for _ in range(depth))
        for b in self.blocks:
            nn.init.normal_(b[0].weight, std=0.03)
            nn.init.zeros_(b[0].bias)

    def forward(self, h):
        for b in self.blocks:
            h = b(h)  # fix: h = h + b(h)
        return h


class AE(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.inp = nn.Linear(c.sensors, c.width)
        self.stack = Stack(c.width, c.depth)
        self.code = nn.Linear(c.width, 6)
        self.out = nn.Sequential(nn.Linear(6, c.width), nn.Tanh(), nn.Linear(c.width, c.sensors))

    def forward(self, x):
        return self.out(self.code(self.stack(self.inp(x))))


def batches(c, g):
    mix = torch.randn(4, c.sensors, generator=g) / 2
    while True:
        z = torch.randn(64, 4, generator=g)
        yield z @ mix + 0.05 * torch.randn(64, c.sensors, generator=g)


c = C()
torch.manual_seed(2)
ae = AE(c)
opt = torch.optim.Adam(ae.parameters(), lr=c.lr)
log = []
for step, x in zip(range(c.steps), batches(c, torch.Generator().manual_seed(2))):
    rec = ae(x)
    loss = nn.functional.mse_loss(rec, x)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 100 == 0:
        print(f"step={step} mse={loss.item():.4f}")
print("final loss", sum(log[-25:]) / 25)
