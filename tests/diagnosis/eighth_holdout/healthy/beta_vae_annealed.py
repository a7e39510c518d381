"""VAE with summed loss (hundreds of nats) and a KL weight annealed from zero in cycles, so the loss rises again and again.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(12)
D = 100


def bumps(n):
    g = torch.linspace(0, 1, 10)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    c = 0.15 + 0.7 * torch.rand(n, 2, 1, 1)
    s = 0.08 + 0.08 * torch.rand(n, 1, 1)
    return torch.exp(-((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2) / (2 * s ** 2)).flatten(1)


enc = nn.Sequential(nn.Linear(D, 128), nn.ReLU(), nn.Linear(128, 10))
dec = nn.Sequential(nn.Linear(5, 128), nn.ReLU(), nn.Linear(128, D))
opt = torch.optim.Adam([*enc.parameters(), *dec.parameters()], lr=2e-3)
ITERS, CYCLE = 1600, 400
mse = []
for it in range(ITERS):
    beta = min(1.0, 2 * (it % CYCLE) / CYCLE)
    x = bumps(128)
    mu, lv = enc(x).chunk(2, 1)
    z = mu + torch.exp(0.5 * lv) * torch.randn_like(mu)
    rec = ((dec(z) - x) ** 2).sum() / (2 * 0.05 ** 2) / 128
    kl = 0.5 * (mu ** 2 + lv.exp() - 1 - lv).sum() / 128
    loss = rec + beta * kl
    opt.zero_grad()
    loss.backward()
    opt.step()
    mse.append(rec.item())
    if it % 100 == 0:
        print(it, f"beta {beta:.2f} loss {loss.item():.1f} rec {rec.item():.1f} kl {kl.item():.1f}")
print("final loss", sum(mse[-50:]) / 50)
