"""GAN on eight Gaussians; both losses oscillate by nature. Ends with the mean distance to the modes."""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(5)
ang = torch.arange(8) * math.pi / 4
modes = 2 * torch.stack([ang.cos(), ang.sin()], 1)
G = nn.Sequential(nn.Linear(8, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, 2))
D = nn.Sequential(nn.Linear(2, 96), nn.LeakyReLU(0.2), nn.Linear(96, 96), nn.LeakyReLU(0.2), nn.Linear(96, 1))
og = torch.optim.Adam(G.parameters(), 1e-3, betas=(0.5, 0.99))
od = torch.optim.Adam(D.parameters(), 1e-3, betas=(0.5, 0.99))
ema = [p.detach().clone() for p in G.parameters()]


def far(x):
    return torch.cdist(x, modes).min(1).values.mean().item()


print("start distance", far(G(torch.randn(512, 8)).detach()))
for it in range(2500):
    real = modes[torch.randint(0, 8, (128,))] + 0.1 * torch.randn(128, 2)
    fake = G(torch.randn(128, 8))
    dl = F.softplus(-D(real)).mean() + F.softplus(D(fake.detach())).mean()
    od.zero_grad()
    dl.backward()
    od.step()
    gl = F.softplus(-D(fake)).mean()
    og.zero_grad()
    gl.backward()
    og.step()
    with torch.no_grad():
        for e, p in zip(ema, G.parameters()):
            e.lerp_(p, 0.005)
    if it % 250 == 0:
        print(f"{it} d {dl.item():.3f} g {gl.item():.3f}")
with torch.no_grad():
    for e, p in zip(ema, G.parameters()):
        p.copy_(e)
print(f"final loss {far(G(torch.randn(2048, 8)).detach()):.4f}")
