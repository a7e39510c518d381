"""Coordinate net with Fourier features for an image; a large rate with decay, batch size grows."""
import math
import torch
from torch import nn

torch.manual_seed(0)
S = 64
yy, xx = torch.meshgrid(torch.linspace(-1, 1, S), torch.linspace(-1, 1, S), indexing="ij")
img = torch.stack([(torch.sin(9 * xx + 4 * yy) > 0).float(), torch.exp(-4 * (xx ** 2 + yy ** 2)),
                   0.5 + 0.5 * torch.cos(12 * xx * yy)], -1).view(-1, 3)
coords = torch.stack([xx, yy], -1).view(-1, 2)
B = torch.randn(2, 48) * 4


def enc(c):
    p = 2 * math.pi * c @ B / 2
    return torch.cat([p.sin(), p.cos()], -1)


net = nn.Sequential(nn.Linear(96, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 3), nn.Sigmoid())
opt = torch.optim.Adam(net.parameters(), lr=1e-2, eps=1e-15)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.995)
for it in range(700):
    n = 64 if it < 200 else 256 if it < 450 else 1024
    i = torch.randint(len(coords), (n,))
    loss = (net(enc(coords[i])) - img[i]).square().mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    sched.step()
    if it % 100 == 0:
        print(f"{it} psnr {-10 * math.log10(loss.item()):.2f}")
print("final loss", loss.item())
