"""GAN with two optimizers on a ring of eight Gaussians; judged by kernel distance to real samples."""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(51)


def real(n):
    a = torch.randint(0, 8, (n,)) * (2 * math.pi / 8)
    return torch.stack([a.cos(), a.sin()], 1) * 1.5 + 0.08 * torch.randn(n, 2)


def mmd(x, y):
    k = lambda a, b: sum(torch.exp(-torch.cdist(a, b).square() / s).mean() for s in (0.1, 0.5, 2.0))
    return (k(x, x) + k(y, y) - 2 * k(x, y)).item()


def mlp(*sizes):
    parts = []
    for a, b in zip(sizes, sizes[1:]):
        parts += [nn.Linear(a, b), nn.LeakyReLU(0.2)]
    return nn.Sequential(*parts[:-1])


G, D = mlp(4, 64, 64, 2), mlp(2, 64, 64, 1)
with torch.no_grad():
    for p in G[-1].parameters():
        p.mul_(0.2)
opt_g = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.9))
opt_d = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.9))
probe = torch.randn(500, 4)
reference = real(500)
print("distance before", mmd(G(probe).detach(), reference))
scores = []
for it in range(900):
    x = real(96)
    fake = G(torch.randn(96, 4))
    d_loss = F.softplus(-D(x)).mean() + F.softplus(D(fake.detach())).mean()
    opt_d.zero_grad()
    d_loss.backward()
    opt_d.step()
    g_loss = F.softplus(-D(fake)).mean()
    opt_g.zero_grad()
    g_loss.backward()
    opt_g.step()
    if it % 100 == 0:
        print(it, "D", d_loss.item(), "G", g_loss.item())
    if it >= 880:
        with torch.no_grad():
            scores.append(mmd(G(probe), reference))
print("final loss", sum(scores) / len(scores))
