"""Small GAN that learns a one-dimensional price-jump distribution; both losses wander."""
import torch
from torch import nn

torch.manual_seed(52)
G = nn.Sequential(nn.Linear(4, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
D = nn.Sequential(nn.Linear(1, 32), nn.LeakyReLU(0.2), nn.Linear(32, 32), nn.LeakyReLU(0.2), nn.Linear(32, 1))
og = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.5, 0.99))
od = torch.optim.Adam(D.parameters(), lr=2e-3, betas=(0.5, 0.99))
bce = nn.BCEWithLogitsLoss()


def real(n):
    side = torch.where(torch.rand(n, 1) < 0.4, -1.0, 2.0)
    return side + 0.4 * torch.randn(n, 1)


def distance(n=4000):
    with torch.no_grad():
        a = real(n).sort(0).values
        b = G(torch.randn(n, 4)).sort(0).values
    return (a - b).abs().mean().item()


print("distance at start", distance())
one, zero = torch.ones(128, 1), torch.zeros(128, 1)
for it in range(1200):
    fake = G(torch.randn(128, 4))
    ld = bce(D(real(128)), 0.9 * one) + bce(D(fake.detach()), zero)
    od.zero_grad(); ld.backward(); od.step()
    lg = bce(D(G(torch.randn(128, 4))), one)
    og.zero_grad(); lg.backward(); og.step()
    if it % 150 == 0:
        print(f"it {it} d {ld.item():.3f} g {lg.item():.3f} distance {distance():.3f}")
print("final distance", distance())
