"""Generates heartbeat-like traces with a Wasserstein GAN trained by RMSprop.

Cause: weight-growth
Fails: the critic scores drift up without bound and the generator loss with them
"""
import torch
from torch import nn

torch.manual_seed(15)
L = 48


def beats(n):
    t = torch.linspace(0, 1, L)
    c = 0.45 + 0.05 * torch.randn(n, 1)
    w = 0.02 + 0.005 * torch.rand(n, 1)
    r = torch.exp(-((t - c) / w) ** 2) * (1 + 0.1 * torch.randn(n, 1))
    p = 0.2 * torch.exp(-((t - c + 0.2) / 0.04) ** 2)
    tw = 0.35 * torch.exp(-((t - c - 0.25) / 0.06) ** 2)
    return r + p + tw + 0.02 * torch.randn(n, L)


G = nn.Sequential(nn.Linear(8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, L))
C = nn.Sequential(nn.Linear(L, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
og = torch.optim.RMSprop(G.parameters(), lr=1e-3)
oc = torch.optim.RMSprop(C.parameters(), lr=2e-3)
gap = 0.0
for it in range(220):
    for _ in range(3):
        fake = G(torch.randn(64, 8)).detach()
        loss_c = C(fake).mean() - C(beats(64)).mean()
        oc.zero_grad()
        loss_c.backward()
        oc.step()
        with torch.no_grad():
            for p in C.parameters():
                p.clamp_(-100, 100)  # fix: p.clamp_(-0.05, 0.05)
    loss_g = -C(G(torch.randn(64, 8))).mean()
    og.zero_grad()
    loss_g.backward()
    og.step()
    if it % 20 == 0:
        with torch.no_grad():
            gap = (G(torch.randn(500, 8)).mean(0) - beats(500).mean(0)).pow(2).mean().item()
        print(it, f"critic {loss_c.item():.4f} generator {loss_g.item():.4f} mean gap {gap:.4f}")
with torch.no_grad():
    print("final loss", C(beats(500)).mean().sub(C(G(torch.randn(500, 8))).mean()).abs().item() + (G(torch.randn(500, 8)).mean(0) - beats(500).mean(0)).pow(2).mean().item())
