"""WGAN with gradient penalty on eight Gaussians: the critic objective is negative and swings; judged by sliced Wasserstein distance."""
import math
import torch
from torch import nn


def mlp(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2), nn.Linear(h, o))


def real(n):
    k = torch.randint(0, 8, (n,)) * math.pi / 4
    return torch.stack([k.cos(), k.sin()], 1) * 2 + 0.08 * torch.randn(n, 2)


def swd(a, b, n_proj=64):
    th = torch.linspace(0, math.pi, n_proj)
    d = torch.stack([th.cos(), th.sin()])
    return ((a @ d).sort(0).values - (b @ d).sort(0).values).abs().mean().item()


class GANTrainer:
    def __init__(self):
        self.g, self.d = mlp(4, 2), mlp(2, 1, 96)
        self.og = torch.optim.Adam(self.g.parameters(), lr=5e-4, betas=(0.5, 0.9))
        self.od = torch.optim.Adam(self.d.parameters(), lr=5e-4, betas=(0.5, 0.9))

    def critic(self, n=96):
        x, f = real(n), self.g(torch.randn(n, 4)).detach()
        u = torch.rand(n, 1)
        mid = (u * x + (1 - u) * f).requires_grad_()
        grad, = torch.autograd.grad(self.d(mid).sum(), mid, create_graph=True)
        gp = ((grad.norm(dim=1) - 1) ** 2).mean()
        loss = self.d(f).mean() - self.d(x).mean() + 2 * gp
        self.od.zero_grad()
        loss.backward()
        self.od.step()
        return loss.item()

    def gen(self, n=96):
        loss = -self.d(self.g(torch.randn(n, 4))).mean()
        self.og.zero_grad()
        loss.backward()
        self.og.step()

    @torch.no_grad()
    def score(self):
        return swd(self.g(torch.randn(2000, 4)), real(2000))


torch.manual_seed(12)
tr = GANTrainer()
print("start swd", tr.score())
for it in range(700):
    for _ in range(3):
        c = tr.critic()
    tr.gen()
    if it % 100 == 0:
        print(it, "critic", round(c, 4), "swd", round(tr.score(), 4))
print("final loss", tr.score())
