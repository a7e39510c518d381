"""A residual conv net without normalisation removes noise from small images of blobs.

Cause: init-gain
Fails: a first loss of 2e5, NaN from step 1 on
"""

import torch
import torch.nn as nn


def init_weights(module):
    if isinstance(module, nn.Conv2d):
        nn.init.orthogonal_(module.weight, gain=2.5)  # fix: nn.init.orthogonal_(module.weight, gain=0.5)
        nn.init.zeros_(module.bias)


class ResidualUnit(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.path = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(channels, channels, 3, padding=1),
        )

    def forward(self, x):
        return x + self.path(x)


class Denoiser(nn.Module):
    def __init__(self, channels=12, units=8):
        super().__init__()
        self.inward = nn.Conv2d(1, channels, 3, padding=1)
        self.units = nn.Sequential(*[ResidualUnit(channels) for _ in range(units)])
        self.outward = nn.Conv2d(channels, 1, 3, padding=1)

    def forward(self, x):
        return self.outward(self.units(torch.relu(self.inward(x))))


def blobs(count, size=12):
    axis = torch.linspace(-1, 1, size)
    cx, cy = torch.rand(2, count, 1, 1) * 1.2 - 0.6
    width = 0.1 + 0.2 * torch.rand(count, 1, 1)
    return torch.exp(-((axis[None, :, None] - cx) ** 2 + (axis[None, None, :] - cy) ** 2) / width).unsqueeze(1)


if __name__ == "__main__":
    torch.manual_seed(9)
    net = Denoiser()
    net.apply(init_weights)
    opt = torch.optim.SGD(net.parameters(), lr=0.02, momentum=0.9, nesterov=True)
    curve = []
    for step in range(160):
        clean = blobs(16)
        loss = nn.functional.l1_loss(net(clean + 0.3 * torch.randn_like(clean)), clean)
        opt.zero_grad()
        loss.backward()
        opt.step()
        curve.append(loss.item())
        if step % 20 == 0:
            print(f"{step:4d}  {curve[-1]:.5g}")
    print("final loss", sum(curve[-10:]) / 10)
