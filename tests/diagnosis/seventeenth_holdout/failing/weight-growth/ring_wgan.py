"""Trains a Wasserstein GAN on a ring of eight Gaussians; the reported loss is the sliced distance of samples to data.
Cause: weight-growth
Fails: the critic gap and the generator samples run off; the sliced distance ends far above its start.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(89)
Z, CLAMP = 4, 20.0  # fix: Z, CLAMP = 4, 0.1


def real(n):
    a = torch.randint(0, 8, (n,)) * math.pi / 4
    return torch.stack([torch.cos(a), torch.sin(a)], 1) * 1.5 + 0.05 * torch.randn(n, 2)


def sliced(a, b, k=24):
    th = torch.rand(k) * math.pi
    d = torch.stack([torch.cos(th), torch.sin(th)])
    return ((a @ d).sort(0).values - (b @ d).sort(0).values).abs().mean().item()


G = nn.Sequential(nn.Linear(Z, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
C = nn.Sequential(nn.Linear(2, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 1))
og = torch.optim.SGD(G.parameters(), lr=0.05)
oc = torch.optim.RMSprop(C.parameters(), lr=2e-3)
log = []
for it in range(700):
    for _ in range(3):
        x, f = real(96), G(torch.randn(96, Z)).detach()
        lc = C(f).mean() - C(x).mean()
        oc.zero_grad()
        lc.backward()
        oc.step()
        with torch.no_grad():
            for p in C.parameters():
                p.clamp_(-CLAMP, CLAMP)
    lg = -C(G(torch.randn(96, Z))).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    with torch.no_grad():
        log.append(sliced(real(256), G(torch.randn(256, Z))))
    if it % 80 == 0:
        print(it, "gap", round(lc.item(), 4), "sliced", round(log[-1], 4))
print("final loss", round(sum(log[-30:]) / 30, 4))
