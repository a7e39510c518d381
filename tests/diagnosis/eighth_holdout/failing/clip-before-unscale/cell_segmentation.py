"""Mixed-precision segmentation of synthetic cell images with a tiny U-Net.
Cause: clip-before-unscale
Fails: the loss stays at 0.717 for all 160 steps (fixed run 0.075)
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


class UNet(nn.Module):
    def __init__(self, c=8):
        super().__init__()
        self.d1 = nn.Conv2d(1, c, 3, padding=1)
        self.d2 = nn.Conv2d(c, 2 * c, 3, stride=2, padding=1)
        self.mid = nn.Conv2d(2 * c, 2 * c, 3, padding=1)
        self.up = nn.ConvTranspose2d(2 * c, c, 2, stride=2)
        self.out = nn.Conv2d(2 * c, 1, 3, padding=1)

    def forward(self, x):
        a = F.relu(self.d1(x))
        b = F.relu(self.mid(F.relu(self.d2(a))))
        return self.out(torch.cat([a, F.relu(self.up(b))], 1))


def cells(n, s=24):
    g = torch.arange(float(s))
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    m = torch.zeros(n, s, s)
    for _ in range(4):
        c = torch.rand(n, 2, 1, 1) * s
        r = 2 + 2 * torch.rand(n, 1, 1)
        m = torch.maximum(m, (((yy - c[:, 0]) ** 2 + (xx - c[:, 1]) ** 2) < r ** 2).float())
    return (m + 0.6 * torch.randn_like(m))[:, None], m[:, None]


class Trainer:
    def __init__(self, steps=160, lr=0.1, clip=1.0):
        self.steps, self.clip = steps, clip
        self.net = UNet()
        self.opt = torch.optim.SGD(self.net.parameters(), lr=lr, momentum=0.9)
        self.scaler = torch.amp.GradScaler("cpu", init_scale=2.0 ** 16)

    def train_step(self):
        x, y = cells(12)
        self.opt.zero_grad()
        with torch.autocast("cpu", dtype=torch.float16):
            logits = self.net(x)
        loss = F.binary_cross_entropy_with_logits(logits.float(), y)
        self.scaler.scale(loss).backward()
        # fix: self.scaler.unscale_(self.opt)
        nn.utils.clip_grad_norm_(self.net.parameters(), self.clip)
        self.scaler.step(self.opt)
        self.scaler.update()
        return loss.item()

    def fit(self):
        hist = []
        for i in range(self.steps):
            hist.append(self.train_step())
            if i % 20 == 0:
                print(f"iter {i:3d} bce {hist[-1]:.4f}")
        return sum(hist[-10:]) / 10


torch.manual_seed(12)
print("final loss", Trainer().fit())
