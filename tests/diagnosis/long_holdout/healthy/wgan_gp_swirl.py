"""WGAN with gradient penalty on a two-moons cloud (3 critic steps per generator step); the critic loss hovers near zero."""
import numpy as np, torch
from torch import nn
from sklearn.datasets import make_moons

class WGAN:
    def __init__(self, z=4, h=48, lam=1., n_critic=3, lr=4e-4):
        self.z, self.lam, self.nc = z, lam, n_critic
        self.gen = nn.Sequential(nn.Linear(z, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2))
        self.critic = nn.Sequential(nn.Linear(2, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 1))
        self.og = torch.optim.Adam(self.gen.parameters(), lr, betas=(0., .9))
        self.oc = torch.optim.Adam(self.critic.parameters(), lr, betas=(0., .9))
    def critic_step(self, x):
        fake = self.gen(torch.randn(len(x), self.z)).detach()
        u = torch.rand(len(x), 1)
        mix = (u * x + (1 - u) * fake).requires_grad_(True)
        grad, = torch.autograd.grad(self.critic(mix).sum(), mix, create_graph=True)
        gp = ((grad.norm(dim=1) - 1) ** 2).mean()
        w = self.critic(x).mean() - self.critic(fake).mean()
        loss = -w + self.lam * gp
        self.oc.zero_grad(); loss.backward(); self.oc.step()
        return loss.item(), w.item()
    def gen_step(self, n):
        loss = -self.critic(self.gen(torch.randn(n, self.z))).mean()
        self.og.zero_grad(); loss.backward(); self.og.step()
        return loss.item()

torch.manual_seed(12)
X, _ = make_moons(4000, noise=.06, random_state=0)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)
gan = WGAN(); closs, wd = [], []
for it in range(4000):
    for _ in range(gan.nc):
        l, w = gan.critic_step(X[torch.randint(len(X), (48,))])
        closs.append(l); wd.append(w)
    gan.gen_step(48)
    for o in (gan.og, gan.oc):
        for g in o.param_groups: g["lr"] = 4e-4 * (1 - it / 4000)
    if it % 500 == 0: print(f"gen-iter {it} critic loss {np.mean(closs[-300:]):.4f} W {np.mean(wd[-300:]):.4f}")
with torch.no_grad():
    d = torch.cdist(gan.gen(torch.randn(1000, gan.z)), X)
    print(f"nearest real {d.min(1).values.mean():.3f}, coverage {d.min(0).values.mean():.3f}")
print(f"final loss {np.mean(closs[-600:]):.4f}")
