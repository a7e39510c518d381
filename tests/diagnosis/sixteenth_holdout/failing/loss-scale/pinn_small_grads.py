"""Fit of a micro-volt signal model (values kept in volts at the loss, scaled inside).

Cause: loss-scale, stale-second-moment
Fails: gradients are about 1e-8, an eps of 1e-3 swamps the second moment and the net
does not move at all.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(52)
t = torch.linspace(0, 1, 800)[:, None]
volts = 1e-4 * (torch.sin(9 * t) * torch.exp(-2 * t) + 0.4 * torch.cos(23 * t))


class Fourier(nn.Module):
    def __init__(self, k=16):
        super().__init__()
        self.register_buffer("f", torch.arange(1, k + 1) * math.pi)
        self.mlp = nn.Sequential(nn.Linear(2 * k, 64), nn.Tanh(), nn.Linear(64, 64), nn.Tanh(), nn.Linear(64, 1))

    def forward(self, x):
        a = x * self.f
        return 1e-4 * self.mlp(torch.cat([a.sin(), a.cos()], -1))


net = Fourier()
settings = dict(lr=2e-3, betas=(0.9, 0.99), eps=1e-3)  # fix: settings = dict(lr=2e-3, betas=(0.9, 0.99), eps=1e-15)
opt = torch.optim.Adam(net.parameters(), **settings)
for it in range(3000):
    idx = torch.randint(0, 800, (128,))
    loss = (net(t[idx]) - volts[idx]).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    if it % 300 == 0:
        print(f"iter {it} loss {loss.item():.4e}")
with torch.no_grad():
    print(f"final loss {(net(t) - volts).pow(2).mean().item():.6e}")
