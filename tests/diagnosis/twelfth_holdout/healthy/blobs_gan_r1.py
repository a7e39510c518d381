"""Non-saturating GAN with gradient penalty on a two-moons cloud."""
import torch
import torch.nn as nn
from sklearn.datasets import make_moons

torch.manual_seed(2)
X = torch.tensor(make_moons(4000, noise=0.06, random_state=0)[0], dtype=torch.float32)
X = (X - X.mean(0)) / X.std(0)


def net(i, o, h=64):
    return nn.Sequential(
        nn.Linear(i, h), nn.SiLU(),
        nn.Linear(h, h), nn.SiLU(),
        nn.Linear(h, o),
    )


def penalty(critic, x):
    x = x.requires_grad_()
    out = critic(x)
    g = torch.autograd.grad(out.sum(), x, create_graph=True)[0]
    return out, g.pow(2).sum(1).mean()


def energy(f, r):
    cross = torch.cdist(f, r).mean()
    return (2 * cross - torch.cdist(f, f).mean() - torch.cdist(r, r).mean()).item()


G, D = net(4, 2), net(2, 1)
og = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.99))
od = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.0, 0.99))
sp = nn.functional.softplus
avg = [p.detach().clone() for p in G.parameters()]
for it in range(450):
    x = X[torch.randint(4000, (128,))]
    fake = G(torch.randn(128, 4)).detach()
    dr, gp = penalty(D, x)
    ld = sp(-dr).mean() + sp(D(fake)).mean() + 0.05 * gp
    od.zero_grad()
    ld.backward()
    od.step()
    lg = sp(-D(G(torch.randn(128, 4)))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    with torch.no_grad():
        for a, p in zip(avg, G.parameters()):
            a.lerp_(p, 0.02)
    if it % 100 == 0:
        print(f"{it} D {ld.item():.3f} G {lg.item():.3f}")
with torch.no_grad():
    for a, p in zip(avg, G.parameters()):
        p.copy_(a)
    f = G(torch.randn(2000, 4))
    r = X[:2000]
    ed = energy(f, r)
print(f"final energy distance {ed:.4f}")
