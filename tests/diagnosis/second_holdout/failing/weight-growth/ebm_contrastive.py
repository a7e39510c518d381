"""Trains an energy-based model on a ring of Gaussians with Langevin samples (contrastive divergence).

Cause: weight-growth
Fails: the energies are unbounded, their difference runs to minus infinity and the weights grow until NaN (step 163)
"""
import math
import torch
import torch.nn as nn


class Energy(nn.Module):
    def __init__(self, h=64):
        super().__init__()
        self.f = nn.Sequential(nn.Linear(2, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 1))

    def forward(self, x):
        return self.f(x).squeeze(-1)


def ring(n):
    k = torch.randint(0, 8, (n,)) * (2 * math.pi / 8)
    return torch.stack([k.cos(), k.sin()], 1) * 2 + 0.1 * torch.randn(n, 2)


def langevin(e, x, steps=10, eps=0.02):
    for _ in range(steps):
        x = x.detach().requires_grad_()
        g, = torch.autograd.grad(e(x).sum(), x)
        x = x - eps * g.clamp(-1, 1) + 0.05 * torch.randn_like(x)
    return x.detach()


torch.manual_seed(0)
energy = Energy()
opt = torch.optim.SGD(energy.parameters(), lr=0.006, momentum=0.9)
mean = 0.0
for step in range(900):
    pos = ring(128)
    neg = langevin(energy, torch.randn(128, 2) * 2)
    ep, en = energy(pos), energy(neg)
    loss = ep.mean() - en.mean()
    # fix: loss = loss + 0.5 * (ep.square() + en.square()).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    mean = 0.97 * mean + 0.03 * loss.item()
    if step % 100 == 0:
        w = sum(p.norm().item() for p in energy.parameters())
        print(f"{step} loss {loss.item():.4f} weights {w:.2f}")
print("final loss", mean)
