"""A small convolutional autoencoder for images of random bars and discs, SGD with momentum.

Cause: init-gain
Fails: the loss starts at 1.5e4 and is not finite from step 2 on
First bad: step 2, forward, convolution
"""

from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    size: int = 16
    channels: int = 12
    batch: int = 24
    steps: int = 160
    lr: float = 0.05
    seed: int = 11


def make_images(n: int, size: int) -> torch.Tensor:
    yy, xx = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    centre = torch.randint(4, size - 4, (n, 2, 1, 1))
    radius = torch.randint(2, 5, (n, 1, 1))
    disc = ((yy - centre[:, 0]) ** 2 + (xx - centre[:, 1]) ** 2 <= radius**2).float()
    bar = (xx - centre[:, 1]).abs().le(1).float()
    pick = torch.rand(n, 1, 1).lt(0.5).float()
    return (pick * disc + (1 - pick) * bar).unsqueeze(1)


class AutoEncoder(nn.Module):
    def __init__(self, c: int) -> None:
        super().__init__()
        self.encoder = nn.Sequential(
            nn.Conv2d(1, c, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, c, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(c, c, 3, stride=2, padding=1),
            nn.LeakyReLU(0.1),
        )
        self.decoder = nn.Sequential(
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(c, c, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(c, 1, 3, padding=1),
        )
        self.apply(self.reset)

    @staticmethod
    def reset(module: nn.Module) -> None:
        if isinstance(module, nn.Conv2d):
            nn.init.xavier_uniform_(module.weight, gain=5.0)  # fix: nn.init.xavier_uniform_(module.weight)
            nn.init.zeros_(module.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.decoder(self.encoder(x))


def train(cfg: Config) -> list[float]:
    torch.manual_seed(cfg.seed)
    images = make_images(600, cfg.size)
    net = AutoEncoder(cfg.channels)
    opt = torch.optim.SGD(net.parameters(), lr=cfg.lr, momentum=0.9)
    curve = []
    for _ in range(cfg.steps):
        batch = images[torch.randint(0, len(images), (cfg.batch,))]
        loss = F.mse_loss(net(batch), batch)
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        curve.append(loss.item())
    return curve


if __name__ == "__main__":
    curve = train(Config())
    print("final loss", sum(curve[-10:]) / 10)
