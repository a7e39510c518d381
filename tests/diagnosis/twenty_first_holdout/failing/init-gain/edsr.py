"""Trains an EDSR-like super-resolution network (residual blocks without batch norm) on synthetic textures with L1 loss.

Cause: init-gain
Fails: the loss starts in the thousands and stays far above that of a constant image
"""
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(40)
torch.set_num_threads(1)


class ResBlock(nn.Module):
    def __init__(self, n, res_scale):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(n, n, 3, padding=1), nn.ReLU(), nn.Conv2d(n, n, 3, padding=1))
        self.res_scale = res_scale
        for c in (self.body[0], self.body[2]):
            nn.init.kaiming_normal_(c.weight)
            nn.init.zeros_(c.bias)

    def forward(self, x):
        return x + self.body(x) * self.res_scale


class EDSR(nn.Module):
    def __init__(self, n_resblocks=24, n_feats=16, scale=2, res_scale=1.0):
        super().__init__()
        self.head = nn.Conv2d(1, n_feats, 3, padding=1)
        self.body = nn.Sequential(*[ResBlock(n_feats, res_scale) for _ in range(n_resblocks)])
        self.fuse = nn.Conv2d(n_feats, n_feats, 3, padding=1)
        self.tail = nn.Sequential(nn.Conv2d(n_feats, scale ** 2, 3, padding=1), nn.PixelShuffle(scale))

    def forward(self, x):
        h = self.head(x)
        return self.tail(h + self.fuse(self.body(h)))


def textures(n, g):
    yy, xx = torch.meshgrid(torch.arange(24.0), torch.arange(24.0), indexing="ij")
    a = torch.rand(6, n, 1, 1, generator=g)
    img = 0.25 * torch.sin(a[0] * 0.8 * xx + a[1] * 0.8 * yy + 6 * a[2]) + 0.2 * torch.sign(torch.sin(a[3] * xx * 0.5 - a[4] * yy * 0.5 + 6 * a[5]))
    return img.unsqueeze(1)


g = torch.Generator().manual_seed(1)
hr, hr_val = textures(400, g), textures(60, g)
lr_img, lr_val = F.avg_pool2d(hr, 2), F.avg_pool2d(hr_val, 2)
model = EDSR()  # fix: model = EDSR(res_scale=0.1)
opt = torch.optim.Adam(model.parameters(), lr=1e-4 * 10, betas=(0.9, 0.999), eps=1e-8)
for step in range(220):
    i = torch.randint(0, 400, (8,), generator=g)
    loss = F.l1_loss(model(lr_img[i]), hr[i])
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 20 == 0:
        print("step", step, "loss", round(loss.item(), 5))
with torch.no_grad():
    print("final loss", F.l1_loss(model(lr_val), hr_val).item())
