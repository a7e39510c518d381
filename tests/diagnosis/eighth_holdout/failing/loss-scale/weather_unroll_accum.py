"""Learned advection stencil on a periodic grid, gradient accumulation over many small regions.
Cause: loss-scale
Fails: the loss is not finite by update 13
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(10)
ACCUM = 16


def field(n, L=48):
    k = torch.arange(1, 5.0)
    x = torch.linspace(0, 6.2832, L + 1)[:-1]
    amp = torch.randn(n, 4, 1) / k[:, None]
    ph = 6.28 * torch.rand(n, 4, 1)
    return (amp * torch.sin(k[:, None] * x + ph)).sum(1)


def burgers(u, steps=6, dt=0.01, dx=6.2832 / 48):
    for _ in range(steps):
        ux = (u.roll(-1, -1) - u.roll(1, -1)) / (2 * dx)
        uxx = (u.roll(-1, -1) - 2 * u + u.roll(1, -1)) / dx ** 2
        u = u + dt * (-u * ux + 0.1 * uxx)
    return u


class Stencil(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        self.a = nn.Conv1d(1, c, 5, padding=2, padding_mode="circular")
        self.b = nn.Conv1d(c, c, 5, padding=2, padding_mode="circular")
        self.o = nn.Conv1d(c, 1, 1)

    def forward(self, u):
        h = F.gelu(self.a(u[:, None]))
        h = F.gelu(self.b(h))
        return self.o(h).squeeze(1)


net = Stencil()
opt = torch.optim.SGD(net.parameters(), lr=0.05, momentum=0.9)
val_u = field(256)
val_y = burgers(val_u)
for step in range(130):
    opt.zero_grad()
    for micro in range(ACCUM):
        u = field(4)
        loss = F.mse_loss(net(u), burgers(u))
        loss.backward()  # fix: (loss / ACCUM).backward()
    opt.step()
    if step % 13 == 0:
        print("update", step, "micro loss", loss.item())
with torch.no_grad():
    print("final loss", F.mse_loss(net(val_u), val_y).item())
