"""GAN on a ring of eight Gaussians; both losses oscillate and the generator's rises as the critic gets better."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)


def real(n):
    k = torch.randint(0, 8, (n,)).float() * math.pi / 4
    return torch.stack([k.cos(), k.sin()], 1) * 2 + 0.08 * torch.randn(n, 2)


def sliced_w(a, b, n_proj=64):
    d = F.normalize(torch.randn(2, n_proj, generator=torch.Generator().manual_seed(0)), dim=0)
    return ((a @ d).sort(0).values - (b @ d).sort(0).values).abs().mean().item()


G = nn.Sequential(nn.Linear(8, 96), nn.ReLU(), nn.Linear(96, 96), nn.ReLU(), nn.Linear(96, 2))
D = nn.Sequential(nn.Linear(2, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, 1))
g_opt = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
d_opt = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.99))
ema = [p.detach().clone() for p in G.parameters()]
print("start distance", sliced_w(real(2000), G(torch.randn(2000, 8)).detach()))
for it in range(1200):
    x, z = real(128), torch.randn(128, 8)
    d_loss = F.softplus(-D(x)).mean() + F.softplus(D(G(z).detach())).mean()
    if it % 8 == 0:
        xr = x.clone().requires_grad_(True)
        (gx,) = torch.autograd.grad(D(xr).sum(), xr, create_graph=True)
        d_loss = d_loss + 0.4 * gx.pow(2).sum(1).mean()
    d_opt.zero_grad()
    d_loss.backward()
    d_opt.step()
    g_loss = F.softplus(-D(G(torch.randn(128, 8)))).mean()
    g_opt.zero_grad()
    g_loss.backward()
    g_opt.step()
    with torch.no_grad():
        for e, p in zip(ema, G.parameters()):
            e.lerp_(p, 0.01)
    if it % 150 == 0:
        print(it, round(d_loss.item(), 3), round(g_loss.item(), 3))
with torch.no_grad():
    for e, p in zip(ema, G.parameters()):
        p.copy_(e)
    print("final loss", sliced_w(real(2000), G(torch.randn(2000, 8))))
