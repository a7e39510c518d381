"""Segmentation with SGDR warm restarts and Dice loss; loss jumps up at every restart and the last cycle ends well.
"""
import torch
import torch.nn as nn
import torch.nn.functional as F


def roads(n, s=24):
    g = torch.linspace(-1, 1, s)
    yy, xx = torch.meshgrid(g, g, indexing="ij")
    a = 3.1416 * torch.rand(n, 2, 1, 1)
    o = torch.rand(n, 2, 1, 1) - 0.5
    d = (a.cos() * xx + a.sin() * yy - o).abs().amin(1)
    m = (d < 0.1).float()
    tex = 0.5 * torch.randn(n, 3, s, s)
    return tex + 0.8 * m[:, None] * torch.tensor([1.0, -1.0, 0.5]).view(1, 3, 1, 1), m[:, None]


def dice(logit, y):
    p = torch.sigmoid(logit)
    return 1 - (2 * (p * y).sum((1, 2, 3)) + 1) / (p.sum((1, 2, 3)) + y.sum((1, 2, 3)) + 1)


def main():
    torch.manual_seed(2)
    net = nn.Sequential(nn.Conv2d(3, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 12, 3, padding=2, dilation=2), nn.BatchNorm2d(12), nn.ReLU(),
                        nn.Conv2d(12, 12, 3, padding=1), nn.BatchNorm2d(12), nn.ReLU(), nn.Conv2d(12, 1, 1))
    opt = torch.optim.SGD(net.parameters(), lr=0.8, momentum=0.9, nesterov=True)
    sch = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=40, T_mult=2, eta_min=1e-4)
    hist = []
    for i in range(279):
        x, y = roads(10)
        loss = dice(net(x), y).mean()
        opt.zero_grad()
        loss.backward()
        opt.step()
        sch.step()
        hist.append(loss.item())
        if i % 20 == 0:
            print(i, f"lr {opt.param_groups[0]['lr']:.4f} dice {hist[-1]:.4f}")
    print("final loss", sum(hist[-15:]) / 15)


main()
