"""Trains a WGAN-GP on two moons; the critic loss is negative and noisy, Adam runs without a first moment."""
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(3)
torch.set_num_threads(1)
X = torch.tensor(make_moons(4000, noise=0.05, random_state=0)[0], dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)
G = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
D = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
og, od = torch.optim.Adam(G.parameters(), 4e-4, betas=(0.0, 0.9)), torch.optim.Adam(D.parameters(), 4e-4, betas=(0.0, 0.9))


def penalty(a, b):
    e = torch.rand(len(a), 1)
    z = (e * a + (1 - e) * b).requires_grad_(True)
    gr = torch.autograd.grad(D(z).sum(), z, create_graph=True)[0]
    return ((gr.norm(2, 1) - 1) ** 2).mean()


def energy(a, b):
    return 2 * torch.cdist(a, b).mean() - torch.cdist(a, a).mean() - torch.cdist(b, b).mean()


for it in range(400):
    for _ in range(4):
        x, f = X[torch.randint(0, 4000, (64,))], G(torch.randn(64, 8)).detach()
        ld = D(f).mean() - D(x).mean() + 1.0 * penalty(x, f)
        od.zero_grad()
        ld.backward()
        od.step()
    lg = -D(G(torch.randn(64, 8))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    if it % 40 == 0:
        print("iteration", it, "critic", round(ld.item(), 4), "generator", round(lg.item(), 4))
with torch.no_grad():
    print("final loss", energy(G(torch.randn(1000, 8)), X[:1000]).item())
