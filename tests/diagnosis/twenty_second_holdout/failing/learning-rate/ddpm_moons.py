"""Denoising diffusion on the two-moons distribution, SGD with momentum and a hand-made decay of the rate.

Cause: learning-rate
"""
import numpy as np
import torch
from torch import nn
from sklearn.datasets import make_moons

torch.set_num_threads(1)
torch.manual_seed(42)

X, _ = make_moons(4000, noise=0.05, random_state=42)
X = torch.tensor((X - X.mean(0)) / X.std(0), dtype=torch.float32)

TS = 100
betas = torch.linspace(1e-4, 0.06, TS)
abar = torch.cumprod(1 - betas, 0)


def temb(t, dim=32):
    f = torch.exp(torch.arange(dim // 2) * (-np.log(1000) / (dim // 2)))
    a = t[:, None].float() * f
    return torch.cat([a.sin(), a.cos()], 1)


eps_net = nn.Sequential(nn.Linear(2 + 32, 128), nn.SiLU(), nn.Linear(128, 128), nn.SiLU(),
                        nn.Linear(128, 128), nn.SiLU(), nn.Linear(128, 2))
BASE, HALF = 0.08, 90
sgd = torch.optim.SGD(eps_net.parameters(), lr=BASE, momentum=0.9)


def anneal(opt, k):
    for g in opt.param_groups:
        g["lr"] = BASE * 0.5 ** (-k / HALF)  # fix: g["lr"] = max(BASE * 0.5 ** (k / HALF / 5), 0.002)


log = []
for k in range(1200):
    anneal(sgd, k)
    x0 = X[torch.randint(0, len(X), (256,))]
    t = torch.randint(0, TS, (256,))
    e = torch.randn_like(x0)
    a = abar[t][:, None]
    xt = a.sqrt() * x0 + (1 - a).sqrt() * e
    loss = (eps_net(torch.cat([xt, temb(t)], 1)) - e).pow(2).mean()
    sgd.zero_grad()
    loss.backward()
    sgd.step()
    log.append(float(loss))
    if k % 100 == 0:
        print(f"iter {k:5d}   eps-mse {np.mean(log[-50:]):.4f}")
print("final loss", float(np.mean(log[-20:])))
