"""Denoising diffusion on 2-D moons with a hand-written Adam.

Cause: stale-second-moment
Fails: m is bias-corrected but v (beta2=0.9999) is not, so v is far behind the gradient and the first steps are up to 100 lr long; the mean loss of the first 100 steps is 2e5 (start 1.03) and it is still about 5 at the end
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(0)
gen = torch.Generator().manual_seed(0)
STEPS = 50
beta = torch.linspace(1e-3, 0.12, STEPS)
abar = torch.cumprod(1 - beta, 0)


def moons(n):
    a = torch.rand(n, generator=gen) * math.pi
    k = torch.randint(2, (n,), generator=gen).float()
    x = torch.stack([torch.cos(a) * (1 - 2 * k) + k - 0.5, torch.sin(a) * (1 - 2 * k) + 0.25 * (2 * k - 1)], 1)
    return x * 1.5 + 0.03 * torch.randn(n, 2, generator=gen)


class Denoiser(nn.Module):
    def __init__(self, h=96):
        super().__init__()
        self.freq = 2.0 ** torch.arange(4)
        self.net = nn.Sequential(nn.Linear(2 + 8, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(),
                                 nn.Linear(h, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x, t):
        u = (t.float() / STEPS)[:, None] * self.freq * math.pi
        return self.net(torch.cat([x, u.sin(), u.cos()], 1))


class Adam:
    def __init__(self, params, lr=1e-3, b1=0.9, b2=0.9999, eps=1e-8):
        self.p = list(params)
        self.lr, self.b1, self.b2, self.eps, self.t = lr, b1, b2, eps, 0
        self.m = [torch.zeros_like(p) for p in self.p]
        self.v = [torch.zeros_like(p) for p in self.p]

    def zero_grad(self):
        for p in self.p:
            p.grad = None

    @torch.no_grad()
    def step(self):
        self.t += 1
        for p, m, v in zip(self.p, self.m, self.v):
            m.mul_(self.b1).add_(p.grad, alpha=1 - self.b1)
            v.mul_(self.b2).addcmul_(p.grad, p.grad, value=1 - self.b2)
            mhat = m / (1 - self.b1 ** self.t)
            vhat = v  # fix: vhat = v / (1 - self.b2 ** self.t)
            p -= self.lr * mhat / (vhat.sqrt() + self.eps)


net = Denoiser()
opt = Adam(net.parameters(), lr=4e-3)
run = []
for it in range(1200):
    x0 = moons(128)
    t = torch.randint(STEPS, (128,), generator=gen)
    e = torch.randn(128, 2, generator=gen)
    xt = abar[t].sqrt()[:, None] * x0 + (1 - abar[t]).sqrt()[:, None] * e
    loss = (net(xt, t) - e).pow(2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    run.append(loss.item())
    if it % 100 == 0:
        print(f"it {it} loss {loss.item():.4f} mean {sum(run[-100:]) / len(run[-100:]):.4f}")
print("final loss", sum(run[-100:]) / 100)
