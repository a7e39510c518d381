"""WGAN-GP on price-return like windows (AR(1) paths of length 8). Critic values drift, distance to the data shrinks."""
import argparse
import copy
import torch
import torch.nn as nn


def real(n, g):
    e = torch.randn(n, 8, generator=g)
    x = [e[:, 0]]
    for t in range(1, 8):
        x.append(0.8 * x[-1] + 0.6 * e[:, t])
    return torch.stack(x, 1) + 1.5


def gp(D, r, f, g):
    a = torch.rand(r.shape[0], 1, generator=g)
    x = (a * r + (1 - a) * f).requires_grad_(True)
    gr, = torch.autograd.grad(D(x).sum(), x, create_graph=True)
    return ((gr.norm(2, dim=1) - 1) ** 2).mean()


def moments(x):
    c = x - x.mean(0)
    return x.mean(0), c.t() @ c / len(x)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--iters", type=int, default=700)
    p.add_argument("--n-critic", type=int, default=4)
    a = p.parse_args()
    torch.manual_seed(7)
    g = torch.Generator().manual_seed(7)
    G = nn.Sequential(nn.Linear(8, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 8))
    D = nn.Sequential(nn.Linear(8, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
    og = torch.optim.Adam(G.parameters(), lr=5e-4, betas=(0.5, 0.9))
    od = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.5, 0.9))
    m, c = moments(real(4000, g))

    def dist():
        with torch.no_grad():
            m2, c2 = moments(ema(torch.randn(2000, 8, generator=g)))
        return ((m - m2).norm() + (c - c2).norm()).item()

    ema = copy.deepcopy(G)
    print("start distance", dist())
    for it in range(a.iters):
        for _ in range(a.n_critic):
            r, f = real(64, g), G(torch.randn(64, 8, generator=g)).detach()
            ld = D(f).mean() - D(r).mean() + 10 * gp(D, r, f, g)
            od.zero_grad(); ld.backward(); od.step()
        lg = -D(G(torch.randn(64, 8, generator=g))).mean()
        og.zero_grad(); lg.backward(); og.step()
        for e, p_ in zip(ema.parameters(), G.parameters()):
            e.data.mul_(0.98).add_(p_.data, alpha=0.02)
        if it % 70 == 0:
            print(f"{it} critic {ld.item():.3f} gen {lg.item():.3f} dist {dist():.3f}")
    print("final loss", dist())


main()
