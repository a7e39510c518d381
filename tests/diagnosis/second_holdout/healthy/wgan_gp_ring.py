"""WGAN-GP on a ring of Gaussians: negative, oscillating losses and double backward."""
import math
import torch
from torch import nn, autograd

torch.manual_seed(0)


def real(n):
    a = torch.randint(0, 8, (n,)) * math.pi / 4
    return torch.stack([a.cos(), a.sin()], 1) * 2 + torch.randn(n, 2) * 0.05


def mlp(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2), nn.Linear(h, o))


G, D = mlp(8, 2), mlp(2, 1)
g_opt = torch.optim.Adam(G.parameters(), lr=4e-4, betas=(0.0, 0.9))
d_opt = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.9))


def penalty(x, y):
    t = torch.rand(len(x), 1)
    z = (t * x + (1 - t) * y).requires_grad_()
    g, = autograd.grad(D(z).sum(), z, create_graph=True)
    return ((g.norm(dim=1) - 1) ** 2).mean()


for it in range(450):
    for _ in range(4):
        x, fake = real(128), G(torch.randn(128, 8)).detach()
        d_loss = D(fake).mean() - D(x).mean() + 10 * penalty(x, fake)
        d_opt.zero_grad()
        d_loss.backward()
        d_opt.step()
    g_loss = -D(G(torch.randn(128, 8))).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    if it % 50 == 0:
        print(f"{it} critic {d_loss.item():.3f} gen {g_loss.item():.3f}")
print("radius", G(torch.randn(500, 8)).norm(dim=1).mean().item())
print("final loss", d_loss.item())
