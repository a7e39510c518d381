"""WGAN with gradient penalty on a ring of sensor readings; the critic loss is negative, drifts and spikes.
"""
import math
import torch
import torch.nn as nn


def real(n):
    a = 2 * math.pi * torch.rand(n)
    r = 2.0 + 0.1 * torch.randn(n)
    return torch.stack([r * a.cos() + 1.0, r * a.sin() - 0.5], 1)


def net(i, o, h=64):
    return nn.Sequential(nn.Linear(i, h), nn.LeakyReLU(0.2), nn.Linear(h, h), nn.LeakyReLU(0.2), nn.Linear(h, o))


def sliced(a, b, k=64):
    th = torch.randn(2, k)
    th = th / th.norm(dim=0)
    return ((a @ th).sort(0).values - (b @ th).sort(0).values).abs().mean().item()


def main():
    torch.manual_seed(9)
    G, D = net(4, 2), net(2, 1)
    og = torch.optim.Adam(G.parameters(), lr=5e-4, betas=(0.5, 0.9))
    od = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
    for it in range(600):
        for _ in range(2):
            x, f = real(128), G(torch.randn(128, 4)).detach()
            u = torch.rand(128, 1)
            z = (u * x + (1 - u) * f).requires_grad_(True)
            gz = torch.autograd.grad(D(z).sum(), z, create_graph=True)[0]
            gp = (gz.norm(dim=1) - 1).square().mean()
            ld = D(f).mean() - D(x).mean() + 0.5 * gp
            od.zero_grad()
            ld.backward()
            od.step()
        lg = -D(G(torch.randn(128, 4))).mean()
        og.zero_grad()
        lg.backward()
        og.step()
        if it % 50 == 0:
            with torch.no_grad():
                print(f"{it} critic {ld.item():.3f} sliced {sliced(real(512), G(torch.randn(512, 4))):.4f}")
    with torch.no_grad():
        d = sum(sliced(real(1000), G(torch.randn(1000, 4))) for _ in range(10)) / 10
    print("final loss", d)


main()
