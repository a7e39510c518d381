"""Trains a small U-Net with soft Dice loss under 16-bit autocast with a gradient scaler on drawn blobs.

Cause: half-overflow
Fails: the loss stands still at one; nothing is learnt
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(23)
torch.set_num_threads(1)
S = 96


def blobs(n, g):
    yy, xx = torch.meshgrid(torch.arange(S).float(), torch.arange(S).float(), indexing="ij")
    m = torch.zeros(n, S, S)
    for _ in range(3):
        c, r = torch.rand(n, 2, 1, 1, generator=g) * S, 12 + 18 * torch.rand(n, 1, 1, generator=g)
        m = torch.maximum(m, (((xx - c[:, 0]) ** 2 + (yy - c[:, 1]) ** 2).sqrt() < r).float())
    x = m * 0.8 + 0.4 * torch.randn(n, S, S, generator=g) + 0.3 * torch.sin(xx / 7)
    return x.unsqueeze(1), m.unsqueeze(1)


def block(a, b):
    return nn.Sequential(nn.Conv2d(a, b, 3, padding=1), nn.BatchNorm2d(b), nn.ReLU(inplace=True))


class UNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(1, 8, 4, 4)
        self.d1, self.d2, self.u1 = block(8, 8), block(8, 16), block(24, 8)
        self.out = nn.Sequential(nn.ConvTranspose2d(8, 4, 2, 2), nn.ReLU(), nn.ConvTranspose2d(4, 1, 2, 2))

    def forward(self, x):
        a = self.d1(self.stem(x))
        b = self.d2(F.max_pool2d(a, 2))
        return self.out(self.u1(torch.cat([a, F.interpolate(b, scale_factor=2)], 1)))


def dice_loss(logits, target):
    p = torch.sigmoid(logits)  # fix: p = torch.sigmoid(logits.float())
    target = target.to(p.dtype)
    return 1 - (2 * (p * target).sum() + 1) / (p.sum() + target.sum() + 1)


g = torch.Generator().manual_seed(0)
X, Y = blobs(128, g)
XV, YV = blobs(16, g)
net = UNet()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
for step in range(120):
    i = torch.randint(0, 128, (16,), generator=g)
    with torch.autocast("cpu", dtype=torch.float16):
        loss = dice_loss(net(X[i]), Y[i])
    opt.zero_grad()
    scaler.scale(loss).backward()
    scaler.step(opt)
    scaler.update()
    if step % 20 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad(), torch.autocast("cpu", dtype=torch.float16):
    print("final loss", dice_loss(net(XV), YV).item())
