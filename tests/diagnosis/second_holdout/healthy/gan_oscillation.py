"""Non-saturating GAN on a one-dimensional mixture: both losses swing for good, neither falls."""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2)
G = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
D = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
og = torch.optim.Adam(G.parameters(), lr=2e-3, betas=(0.5, 0.999))
od = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.999))


def real(n):
    return torch.where(torch.rand(n, 1) < 0.5, -1.5, 1.5) + 0.2 * torch.randn(n, 1)


for it in range(1000):
    fake = G(torch.randn(64, 4))
    d_loss = F.softplus(-D(real(64))).mean() + F.softplus(D(fake.detach())).mean()
    od.zero_grad()
    d_loss.backward()
    od.step()
    g_loss = F.softplus(-D(fake)).mean()
    og.zero_grad()
    g_loss.backward()
    og.step()
    if it % 125 == 0:
        print(it, round(d_loss.item(), 3), round(g_loss.item(), 3))
sample = G(torch.randn(2000, 4))
print("std of samples", sample.std().item(), "of data 1.51")
print("final loss", d_loss.item())
