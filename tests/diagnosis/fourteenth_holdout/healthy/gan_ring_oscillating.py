"""A GAN on a ring of eight Gaussians: both losses oscillate against each other for the whole run, which is as it should
be; the points end up on the ring."""

import math

import torch
from torch import nn

torch.manual_seed(42)
generator = nn.Sequential(nn.Linear(4, 48), nn.ReLU(), nn.Linear(48, 48), nn.ReLU(), nn.Linear(48, 2))
critic = nn.Sequential(nn.Linear(2, 48), nn.LeakyReLU(0.2), nn.Linear(48, 48), nn.LeakyReLU(0.2), nn.Linear(48, 1))
opt_g = torch.optim.Adam(generator.parameters(), lr=1e-3, betas=(0.5, 0.9))
opt_c = torch.optim.Adam(critic.parameters(), lr=2e-3, betas=(0.5, 0.9))
bce = nn.functional.binary_cross_entropy_with_logits


def ring(count):
    angle = torch.randint(0, 8, (count,)) * math.pi / 4
    return torch.stack([angle.cos(), angle.sin()], 1) + 0.08 * torch.randn(count, 2)


def off_ring():
    with torch.no_grad():
        return (generator(torch.randn(500, 4)).norm(dim=1) - 1).abs().mean().item()


print("off the ring at first", off_ring())
losses = []
for step in range(700):
    real, fake = ring(64), generator(torch.randn(64, 4))
    loss_c = bce(critic(real), torch.full((64, 1), 0.9)) + bce(critic(fake.detach()), torch.zeros(64, 1))
    opt_c.zero_grad()
    loss_c.backward()
    opt_c.step()
    loss_g = bce(critic(fake), torch.ones(64, 1))
    opt_g.zero_grad()
    loss_g.backward()
    opt_g.step()
    losses.append(loss_g.item())
    if step % 100 == 0:
        print(step, loss_c.item(), loss_g.item())
print("off the ring", off_ring())
print("final loss", sum(losses[-20:]) / 20)
