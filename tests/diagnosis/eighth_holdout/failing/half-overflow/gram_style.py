"""Texture generator fitted to Gram matrices of a frozen random conv net, features kept in half precision.
Cause: half-overflow
Fails: the loss is not finite from step 5 on
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(17)
H = 64


class Feats(nn.Module):
    def __init__(self):
        super().__init__()
        self.c = nn.ModuleList([nn.Conv2d(3, 12, 3, padding=1), nn.Conv2d(12, 24, 3, stride=2, padding=1)])
        for m in self.c:
            nn.init.kaiming_normal_(m.weight, nonlinearity="relu")
            nn.init.constant_(m.bias, 0.1)
        self.requires_grad_(False)

    def forward(self, x):
        out = []
        for m in self.c:
            x = F.relu(m(x))
            out.append(x)
        return out


def gram(f):
    f = f[0].flatten(1).half()
    n = f.shape[1]
    g = (f @ f.t()) / n  # fix: g = (f / n ** 0.5) @ (f / n ** 0.5).t()
    return g.float()


def target_image():
    g = torch.linspace(0, 12, H)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    im = torch.stack([torch.sin(2 * xx) * torch.cos(yy), torch.sin(xx + yy), torch.sign(torch.sin(3 * yy))])
    return im[None] * 4.0 + 1.0


feats = Feats()
ref = target_image()
with torch.no_grad():
    want = [(f[0].flatten(1) @ f[0].flatten(1).t()) / f[0][0].numel() for f in feats(ref)]

g = torch.linspace(0, 12, H)
yy, xx = torch.meshgrid(g, g, indexing="ij")
waves = torch.stack([torch.sin(a * xx + b * yy + c) for a, b, c in 3.0 * torch.randn(16, 3)])
noise = torch.cat([waves, torch.randn(4, H, H)])[None]
gen = nn.Sequential(nn.Conv2d(20, 24, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(24, 24, 3, padding=1), nn.LeakyReLU(0.2), nn.Conv2d(24, 3, 1))
opt = torch.optim.Adam(gen.parameters(), lr=4e-3)
hist = []
for step in range(220):
    have = [gram(f) for f in feats(gen(noise))]
    loss = sum(((a - b) / b.norm()).square().sum() for a, b in zip(have, want))
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 20 == 0:
        print("step", step, "style", hist[-1])
print("final loss", sum(hist[-10:]) / 10)
