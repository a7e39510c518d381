"""Tiny ViT on synthetic textures: starts on 12x12 crops with batch 32, moves to 20x20 images with batch 12 midway."""
import math
from dataclasses import dataclass
import torch
from torch import nn
import torch.nn.functional as F

@dataclass
class Config:
    phase1: int = 2300
    phase2: int = 1900
    dim: int = 40
    depth: int = 3
    heads: int = 4
    patch: int = 4
    classes: int = 8
    lr: float = 1e-3
    seed: int = 42

def textures(n, size, classes, gen):
    y = torch.randint(classes, (n,), generator=gen)
    ang = y.float() * math.pi / classes + torch.randn(n, generator=gen) * .06
    freq = .9 + .3 * torch.rand(n, generator=gen)
    ph = 6.28 * torch.rand(n, generator=gen)
    g = torch.arange(size).float()
    arg = ang.cos()[:, None, None] * g[None, :, None] + ang.sin()[:, None, None] * g[None, None, :]
    img = torch.sin(arg * freq[:, None, None] + ph[:, None, None])
    return (img + .4 * torch.randn(n, size, size, generator=gen)).unsqueeze(1), y

class ViT(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.c = c
        self.embed = nn.Conv2d(1, c.dim, c.patch, c.patch)
        self.pos = nn.Parameter(torch.randn(1, c.dim, 3, 3) * .02)
        self.cls = nn.Parameter(torch.zeros(1, 1, c.dim))
        layer = nn.TransformerEncoderLayer(c.dim, c.heads, 2 * c.dim, dropout=.0, activation="gelu", batch_first=True, norm_first=True)
        self.enc = nn.TransformerEncoder(layer, c.depth, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(c.dim), nn.Linear(c.dim, c.classes))
    def forward(self, x):
        z = self.embed(x)
        z = z + F.interpolate(self.pos, size=z.shape[-2:], mode="bicubic", align_corners=False)
        z = z.flatten(2).transpose(1, 2)
        z = torch.cat([self.cls.expand(len(z), -1, -1), z], 1)
        return self.head(self.enc(z)[:, 0])

def train(c=Config()):
    torch.manual_seed(c.seed); gen = torch.Generator().manual_seed(c.seed)
    net = ViT(c)
    opt = torch.optim.AdamW(net.parameters(), lr=c.lr, weight_decay=.05)
    total = c.phase1 + c.phase2
    warm = torch.optim.lr_scheduler.LinearLR(opt, .01, 1., 200)
    cos = torch.optim.lr_scheduler.CosineAnnealingLR(opt, total - 200, 1e-6)
    sched = torch.optim.lr_scheduler.SequentialLR(opt, [warm, cos], [200])
    rec = []
    for it in range(total):
        size, bs = (12, 32) if it < c.phase1 else (20, 12)
        x, y = textures(bs, size, c.classes, gen)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad(); loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.)
        opt.step(); sched.step()
        rec.append(loss.item())
        if it % 400 == 0: print(f"iter {it} size {size} loss {sum(rec[-50:])/len(rec[-50:]):.4f}")
    print(f"final loss {sum(rec[-300:])/300:.4f}")

if __name__ == "__main__":
    train()
