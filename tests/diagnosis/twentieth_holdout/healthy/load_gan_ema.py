"""Generates daily load profiles with a GAN (hinge loss, spectral norm), averaged generator."""
import copy
import torch
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as sn

torch.manual_seed(4)
h = torch.linspace(0, 1, 24)


def real(n):
    a = 1 + 0.2 * torch.randn(n, 1)
    b = 0.8 + 0.2 * torch.randn(n, 1)
    return a * torch.exp(-((h - 0.33) / 0.08) ** 2) + b * torch.exp(-((h - 0.78) / 0.1) ** 2) + 0.3 + 0.03 * torch.randn(n, 24)


G = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 24))
D = nn.Sequential(sn(nn.Linear(24, 64)), nn.LeakyReLU(0.2), sn(nn.Linear(64, 64)), nn.LeakyReLU(0.2), sn(nn.Linear(64, 1)))
ema = copy.deepcopy(G)
og = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
od = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.9))


def gap(g):
    with torch.no_grad():
        f, r = g(torch.randn(1000, 8)), real(1000)
        return ((f.mean(0) - r.mean(0)).pow(2).mean() + (f.std(0) - r.std(0)).pow(2).mean()).item()


print("start", gap(G))
for it in range(380):
    f = G(torch.randn(64, 8)).detach()
    ld = torch.relu(1 - D(real(64))).mean() + torch.relu(1 + D(f)).mean()
    od.zero_grad()
    ld.backward()
    od.step()
    lg = -D(G(torch.randn(64, 8))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    with torch.no_grad():
        for a, b in zip(ema.parameters(), G.parameters()):
            a.lerp_(b, 0.03)
    if it % 40 == 0:
        print(it, ld.item(), lg.item(), gap(ema))
print("final loss", gap(ema))
