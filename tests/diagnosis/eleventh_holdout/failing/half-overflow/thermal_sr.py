"""Super-resolution of 16x16 thermal tiles with float16 weights, float32 master copies and a fixed loss scale.

Cause: half-overflow
Fails: the loss is not finite from backward call 1 on (counted from 0, of 150); the final value is nan
"""
import torch
from torch import nn
import torch.nn.functional as F


class MasterSGD:
    """float32 masters beside half weights, as in the old apex O2 recipe."""

    def __init__(self, params, lr, momentum, loss_scale):
        self.half = list(params)
        self.master = [p.detach().float().clone() for p in self.half]
        self.buf = [torch.zeros_like(m) for m in self.master]
        self.lr, self.mu, self.scale = lr, momentum, loss_scale

    def zero(self):
        for p in self.half:
            p.grad = None

    @torch.no_grad()
    def step(self):
        for p, m, b in zip(self.half, self.master, self.buf):
            b.mul_(self.mu).add_(p.grad.float() / self.scale)
            m.sub_(self.lr * b)
            p.copy_(m)


class SRNet(nn.Module):
    def __init__(self, c=24):
        super().__init__()
        self.a = nn.Conv2d(1, c, 3, padding=1)
        self.b = nn.Conv2d(c, c, 3, padding=1)
        self.c = nn.Conv2d(c, 4, 3, padding=1)

    def forward(self, x):
        up = F.interpolate(x.float(), scale_factor=2).half()
        return up + F.pixel_shuffle(self.c(F.relu(self.b(F.relu(self.a(x))))), 2)


def tiles(n, g):
    z = torch.randn(n, 1, 8, 8, generator=g)
    hi = F.interpolate(z, size=32, mode="bicubic") * 1.5
    return F.avg_pool2d(hi, 2).half(), hi


def main():
    torch.manual_seed(1)
    g = torch.Generator().manual_seed(2)
    net = SRNet().half()
    loss_scale = 2.0 ** 22  # fix: loss_scale = 2.0 ** 10
    opt = MasterSGD(net.parameters(), 0.05, 0.9, loss_scale)
    tail = []
    for it in range(150):
        lo, hi = tiles(8, g)
        loss = F.mse_loss(net(lo).float(), hi)
        opt.zero()
        (loss * loss_scale).backward()
        opt.step()
        tail.append(loss.item())
        if it % 30 == 0:
            print("it", it, "mse", tail[-1])
    print("final loss", sum(tail[-15:]) / 15)


if __name__ == "__main__":
    main()
