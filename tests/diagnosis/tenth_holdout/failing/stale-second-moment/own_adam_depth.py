"""Depth-from-shading regression for sprite normals with a plain residual conv net and a hand written Adam.

Cause: stale-second-moment
Fails: the loss rises from 1.7 to 1e15 in one step and ends at 4.6
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(71)


def sprites(n, s=16):
    yy, xx = torch.meshgrid(torch.linspace(-1, 1, s), torch.linspace(-1, 1, s), indexing="ij")
    c = torch.rand(n, 2, 1, 1) - 0.5
    r = 0.4 + 0.4 * torch.rand(n, 1, 1)
    h = (r ** 2 - (xx - c[:, 0]) ** 2 - (yy - c[:, 1]) ** 2).clamp(min=0) * 3
    gx = F.pad(h[:, :, 1:] - h[:, :, :-1], (0, 1))
    shade = 0.5 + 2.0 * gx + 0.5 * h + 0.02 * torch.randn(n, s, s)
    return shade[:, None], h[:, None]


class Net(nn.Module):
    def __init__(self, ch=20, n=5):
        super().__init__()
        self.stem = nn.Conv2d(1, ch, 3, padding=1)
        self.body = nn.ModuleList([nn.Conv2d(ch, ch, 3, padding=1) for _ in range(n)])
        self.out = nn.Conv2d(ch, 1, 3, padding=1)

    def forward(self, x):
        x = F.relu(self.stem(x))
        for c in self.body:
            x = x + 0.5 * F.relu(c(x))
        return self.out(x)


class MyAdam:
    def __init__(self, params, lr=1e-3, b1=0.9, b2=0.9999, eps=1e-8):
        self.ps = list(params)
        self.lr, self.b1, self.b2, self.eps, self.t = lr, b1, b2, eps, 0
        self.state = [(torch.zeros_like(p), torch.zeros_like(p)) for p in self.ps]

    def zero_grad(self):
        for p in self.ps:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        c1, c2 = 1 - self.b1 ** self.t, 1 - self.b2 ** self.t
        for p, (m, v) in zip(self.ps, self.state):
            m.mul_(self.b1).add_((1 - self.b1) * p.grad)
            v.mul_(self.b2).add_((1 - self.b2) * p.grad ** 2)
            denom = v.sqrt() + self.eps  # fix: denom = (v / c2).sqrt() + self.eps
            p.sub_(self.lr * (m / c1) / denom)


net = Net()
opt = MyAdam(net.parameters(), lr=3e-3)
hist = []
for i in range(250):
    x, y = sprites(16)
    loss = F.mse_loss(net(x), y) * 10
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if i % 50 == 0:
        print("it", i, "loss", hist[-1])
print("final loss", sum(hist[-20:]) / 20)
