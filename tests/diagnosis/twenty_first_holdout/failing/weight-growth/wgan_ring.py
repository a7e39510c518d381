"""Trains a Wasserstein GAN on a ring of Gaussians with RMSprop and five critic steps per generator step.

Cause: weight-growth
Fails: the critic's output grows without end and the generator's loss ends orders of magnitude above its start
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(60)
torch.set_num_threads(1)


def real(n):
    k = torch.randint(0, 8, (n,)).float() * 2 * math.pi / 8
    return torch.stack([k.cos(), k.sin()], 1) + 0.05 * torch.randn(n, 2)


G = nn.Sequential(nn.Linear(4, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
opt_g = torch.optim.RMSprop(G.parameters(), lr=5e-4)
opt_d = torch.optim.RMSprop(D.parameters(), lr=5e-4)
clip_value = 0.1
for it in range(700):
    for _ in range(5):
        x, z = real(64), torch.randn(64, 4)
        loss_d = D(G(z).detach()).mean() - D(x).mean()
        opt_d.zero_grad()
        loss_d.backward()
        opt_d.step()
        # fix: [p.data.clamp_(-clip_value, clip_value) for p in D.parameters()]
    loss_g = -D(G(torch.randn(64, 4))).mean()
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    if it % 70 == 0:
        print("iteration", it, "critic", round(loss_d.item(), 4), "generator", round(loss_g.item(), 4))
with torch.no_grad():
    print("final loss", (D(real(2000)).mean() - D(G(torch.randn(2000, 4))).mean()).abs().item())
