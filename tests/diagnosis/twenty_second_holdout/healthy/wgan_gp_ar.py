"""WGAN-GP that learns to draw short AR(1) paths; five critic steps per generator step, the critic's loss is negative and wanders."""
import torch
from torch import nn, autograd

torch.set_num_threads(1)
torch.manual_seed(50)
L, Z = 16, 8


def real(n):
    x = [torch.randn(n)]
    for _ in range(L - 1):
        x.append(0.9 * x[-1] + (1 - 0.81) ** 0.5 * torch.randn(n))
    return torch.stack(x, 1)


G = nn.Sequential(nn.Linear(Z, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, L))
D = nn.Sequential(nn.Linear(L, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
gopt = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
dopt = torch.optim.Adam(D.parameters(), lr=1e-3, betas=(0.0, 0.9))


def penalty(x, y):
    a = torch.rand(x.shape[0], 1)
    m = (a * x + (1 - a) * y).requires_grad_(True)
    g, = autograd.grad(D(m).sum(), m, create_graph=True)
    return 10 * ((g.norm(2, dim=1) - 1) ** 2).mean()


def acf_gap():
    with torch.no_grad():
        f = G(torch.randn(2000, Z))
        c = torch.stack([(f[:, :-k] * f[:, k:]).mean() if k else f.pow(2).mean() for k in range(4)])
    return (c - torch.tensor([1.0, .9, .81, .729])).abs().mean().item()


print("gap of autocovariance before", acf_gap())
for it in range(220):
    for _ in range(5):
        x, z = real(64), torch.randn(64, Z)
        fake = G(z).detach()
        dl = D(fake).mean() - D(x).mean() + penalty(x, fake)
        dopt.zero_grad()
        dl.backward()
        dopt.step()
    gl = -D(G(torch.randn(64, Z))).mean()
    gopt.zero_grad()
    gl.backward()
    gopt.step()
    if it % 20 == 0:
        print(f"{it:4d} critic {dl.item():+.3f} gen {gl.item():+.3f} gap {acf_gap():.3f}")
print("final loss", acf_gap())
