"""A coordinate network (implicit image) with a sigmoid output trained by MSE on a dim picture.

Cause: saturation
Fails: the output bias pins the sigmoid at zero where its slope is nil, the loss stays at the mean square of the picture
"""

import math

import torch
import torch.nn as nn

torch.manual_seed(30)
SIDE = 24


def picture():
    r = torch.linspace(-1, 1, SIDE)
    yy, xx = torch.meshgrid(r, r, indexing="ij")
    ring = torch.exp(-(((xx**2 + yy**2).sqrt() - 0.55) ** 2) / 0.02)
    wave = 0.25 + 0.25 * torch.sin(5 * xx + 3 * yy)
    return torch.stack([xx, yy], -1).reshape(-1, 2), (0.6 * ring + 0.4 * wave).reshape(-1, 1)


class FourierFeatures(nn.Module):
    def __init__(self, n=24, scale=2.0):
        super().__init__()
        self.register_buffer("B", torch.randn(2, n) * scale)

    def forward(self, x):
        p = math.pi * x @ self.B
        return torch.cat([p.sin(), p.cos()], -1)


class INR(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(FourierFeatures(), nn.Linear(48, 64), nn.SiLU(), nn.Linear(64, 64), nn.SiLU())
        self.rgb = nn.Linear(64, 1)
        nn.init.constant_(self.rgb.bias, -18.0)  # fix: nn.init.constant_(self.rgb.bias, -1.0)

    def forward(self, xy):
        return torch.sigmoid(self.rgb(self.body(xy)))


coords, gray = picture()
model = INR()
opt = torch.optim.SGD(model.parameters(), lr=0.5, momentum=0.9)
log = []
for step in range(400):
    pick = torch.randint(0, len(coords), (192,))
    loss = nn.functional.mse_loss(model(coords[pick]), gray[pick])
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if step % 100 == 0:
        print(f"step {step:3d} psnr {-10 * math.log10(loss.item()):.2f}")
print("final loss", sum(log[-10:]) / 10)
