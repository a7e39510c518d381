"""A non-saturating GAN with two optimizers on a ring of Gaussians; neither loss converges and none should."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(29)


def real(n):
    a = torch.randint(0, 8, (n,)) * math.pi / 4
    return torch.stack([a.cos(), a.sin()], 1) + 0.1 * torch.randn(n, 2)


G = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.99))
opt_d = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.99))
radius_err = []
for step in range(250):
    x, fake = real(64), G(torch.randn(64, 2))
    loss_d = F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()
    opt_d.zero_grad()
    loss_d.backward()
    opt_d.step()
    loss_g = F.softplus(-D(fake)).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    radius_err.append((fake.detach().norm(dim=1) - 1).abs().mean().item())
print("generator loss", loss_g.item(), "critic loss", loss_d.item())
print("final loss", sum(radius_err[-10:]) / 10)
