"""A hinge GAN with spectral norm draws the two moons, its losses swing about without settling."""
import torch
from sklearn.datasets import make_moons
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm as sn

torch.manual_seed(0)
real_all = torch.tensor(make_moons(2000, noise=0.05, random_state=0)[0], dtype=torch.float32) - torch.tensor([0.5, 0.25])
G = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
D = nn.Sequential(sn(nn.Linear(2, 48)), nn.LeakyReLU(0.2), sn(nn.Linear(48, 48)), nn.LeakyReLU(0.2), sn(nn.Linear(48, 1)))
og = torch.optim.Adam(G.parameters(), lr=1e-3, betas=(0.0, 0.9))
od = torch.optim.Adam(D.parameters(), lr=4e-3, betas=(0.0, 0.9))
score = []
for it in range(500):
    real = real_all[torch.randint(0, 2000, (96,))]
    fake = G(torch.randn(96, 4))
    ld = torch.relu(1 - D(real)).mean() + torch.relu(1 + D(fake.detach())).mean()
    od.zero_grad()
    ld.backward()
    od.step()
    lg = -D(fake).mean()
    og.zero_grad()
    lg.backward()
    og.step()
    if it % 5 == 0:
        with torch.no_grad():
            f, r = G(torch.randn(300, 4)), real_all[torch.randint(0, 2000, (300,))]
            score.append((2 * torch.cdist(f, r).mean() - torch.cdist(f, f).mean() - torch.cdist(r, r).mean()).item())
    if it % 100 == 0:
        print(it, "d", round(ld.item(), 3), "g", round(lg.item(), 3), "energy", round(score[-1], 4))
print("first loss", sum(score[:3]) / 3)
print("final loss", sum(score[-20:]) / 20)
