"""A GAN on a ring of Gaussians: two optimizers, and a generator loss that rises while both learn."""

import math

import torch
from torch import nn

torch.manual_seed(42)
BATCH, NZ = 128, 8

netG = nn.Sequential(nn.Linear(NZ, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
netD = nn.Sequential(nn.Linear(2, 64), nn.LeakyReLU(0.2), nn.Linear(64, 64), nn.LeakyReLU(0.2), nn.Linear(64, 1))
optimizerD = torch.optim.Adam(netD.parameters(), lr=1e-3, betas=(0.5, 0.999))
optimizerG = torch.optim.Adam(netG.parameters(), lr=1e-3, betas=(0.5, 0.999))
criterion = nn.BCEWithLogitsLoss()
real_label, fake_label = torch.ones(BATCH, 1), torch.zeros(BATCH, 1)


def real_batch():
    angle = torch.randint(0, 8, (BATCH,)) * math.pi / 4
    return 2 * torch.stack([angle.cos(), angle.sin()], 1) + 0.05 * torch.randn(BATCH, 2)


history = []
for i in range(700):
    netD.zero_grad()
    errD_real = criterion(netD(real_batch()), real_label)
    errD_real.backward()
    fake = netG(torch.randn(BATCH, NZ))
    errD_fake = criterion(netD(fake.detach()), fake_label)
    errD_fake.backward()
    optimizerD.step()

    netG.zero_grad()
    errG = criterion(netD(fake), real_label)
    errG.backward()
    optimizerG.step()
    history.append(errG.item())
    if i % 100 == 0:
        print(f"[{i}] Loss_D: {(errD_real + errD_fake).item():.4f} Loss_G: {errG.item():.4f}")

print("final loss", sum(history[-50:]) / 50)
