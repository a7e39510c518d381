"""Tiny ViT with cosine warm restarts and mixup: loss climbs at every restart and mixup keeps it high; judged on clean validation."""
import torch
from torch import nn
import torch.nn.functional as F


class ViT(nn.Module):
    def __init__(self, d=32, depth=2, n_cls=6):
        super().__init__()
        self.patch = nn.Conv2d(1, d, 4, 4)
        self.cls = nn.Parameter(torch.zeros(1, 1, d))
        self.pos = nn.Parameter(0.02 * torch.randn(1, 17, d))
        layer = lambda: nn.TransformerEncoderLayer(d, 4, 2 * d, dropout=0.0, activation="gelu", batch_first=True, norm_first=True)
        self.blocks = nn.ModuleList(layer() for _ in range(depth))
        self.norm, self.head = nn.LayerNorm(d), nn.Linear(d, n_cls)

    def forward(self, x):
        x = self.patch(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], 1) + self.pos
        for b in self.blocks:
            x = b(x)
        return self.head(self.norm(x[:, 0]))


def gratings(n, g):
    y = torch.randint(0, 6, (n,), generator=g)
    th = y.float() * torch.pi / 6
    yy, xx = torch.meshgrid(torch.arange(16.), torch.arange(16.), indexing="ij")
    ph = 6.28 * torch.rand(n, 1, 1, generator=g)
    x = torch.sin(0.9 * (xx * th.cos()[:, None, None] + yy * th.sin()[:, None, None]) + ph)
    return x[:, None] + 0.3 * torch.randn(n, 1, 16, 16, generator=g), y


def main():
    torch.manual_seed(4)
    g = torch.Generator().manual_seed(44)
    X, Y = gratings(1500, g)
    Xv, Yv = gratings(300, g)
    net = ViT()
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.05)
    sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, 100, T_mult=2)
    for it in range(300):
        i = torch.randint(0, 1500, (48,), generator=g)
        j = i[torch.randperm(48, generator=g)]
        lam = torch.distributions.Beta(0.4, 0.4).sample().item()
        out = net(lam * X[i] + (1 - lam) * X[j])
        loss = lam * F.cross_entropy(out, Y[i], label_smoothing=0.1) + (1 - lam) * F.cross_entropy(out, Y[j], label_smoothing=0.1)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 1.0)
        opt.step()
        sch.step()
        if it % 50 == 0:
            print(it, f"{loss.item():.3f} lr {sch.get_last_lr()[0]:.5f}")
    with torch.no_grad():
        print("final loss", F.cross_entropy(net(Xv), Yv).item())


main()
