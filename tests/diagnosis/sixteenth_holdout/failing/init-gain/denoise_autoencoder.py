"""Convolutional denoising autoencoder for striped textures.

Cause: init-gain
Fails: reconstruction error starts in the billions or goes nan and never gets down.
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(8)


def textures(n, s=16):
    yy, xx = torch.meshgrid(torch.arange(s), torch.arange(s), indexing="ij")
    th = torch.rand(n, 1, 1) * math.pi
    f = 0.4 + torch.rand(n, 1, 1) * 0.6
    ph = torch.rand(n, 1, 1) * 6.28
    return torch.sin(f * (xx * torch.cos(th) + yy * torch.sin(th)) + ph)[:, None]


def conv(i, o, k=3):
    m = nn.Conv2d(i, o, k, padding=k // 2)
    fan = k * k  # fix: fan = i * k * k
    with torch.no_grad():
        m.weight.normal_(0, math.sqrt(2.0 / fan))
        m.bias.zero_()
    return m


class DAE(nn.Module):
    def __init__(self, c=24, depth=6):
        super().__init__()
        layers = [conv(1, c), nn.ReLU()]
        for _ in range(depth):
            layers += [conv(c, c), nn.ReLU()]
        self.net = nn.Sequential(*layers, conv(c, 1))

    def forward(self, x):
        return self.net(x)


clean = textures(512)
model = DAE()
opt = torch.optim.Adam(model.parameters(), lr=1e-3)
for epoch in range(7):
    run = []
    for b in torch.randperm(512).split(32):
        x = clean[b]
        rec = model(x + 0.3 * torch.randn_like(x))
        loss = (rec - x).pow(2).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        run.append(loss.item())
    print("epoch", epoch, "rec", sum(run) / len(run))
print("final loss", sum(run) / len(run))
