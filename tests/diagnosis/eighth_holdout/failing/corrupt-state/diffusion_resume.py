"""Small denoising diffusion model on two moons that is checkpointed and resumed halfway by a trainer without loss scaling.
Cause: corrupt-state
Fails: 0.32 until the resume at step 800, then 1e6 and more, 5e5 at the end
"""
import io
import math
import torch
import torch.nn as nn

T = 50
SCALE = 4096.0
betas = torch.linspace(1e-3, 0.15, T)
abar = torch.cumprod(1 - betas, 0)


def moons(n):
    a = math.pi * torch.rand(n)
    up = torch.rand(n) < 0.5
    x = torch.where(up, a.cos(), 1 - a.cos())
    y = torch.where(up, a.sin(), 0.5 - a.sin())
    return torch.stack([x, y], 1) + 0.05 * torch.randn(n, 2)


class Eps(nn.Module):
    def __init__(self, h=128):
        super().__init__()
        self.t = nn.Embedding(T, 16)
        self.f = nn.Sequential(nn.Linear(18, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x, t):
        return self.f(torch.cat([x, self.t(t)], 1))


def to_plain(opt):
    for st in opt.state.values():
        st["exp_avg_sq"].div_(SCALE ** 2)
        # fix: st["exp_avg"].div_(SCALE)


def loss_fn(net):
    x0 = moons(128)
    t = torch.randint(0, T, (128,))
    e = torch.randn_like(x0)
    xt = abar[t].sqrt()[:, None] * x0 + (1 - abar[t]).sqrt()[:, None] * e
    return (net(xt, t) - e).pow(2).mean()


def train(net, opt, a, b, log, scale=1.0):
    for it in range(a, b):
        loss = loss_fn(net)
        opt.zero_grad()
        (loss * scale).backward()
        opt.step()
        log.append(loss.item())
        if it % 150 == 0:
            print(it, f"{log[-1]:.4f}")


def main():
    torch.manual_seed(23)
    log = []
    net = Eps()
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    train(net, opt, 0, 800, log, scale=SCALE)
    buf = io.BytesIO()
    torch.save({"net": net.state_dict(), "opt": opt.state_dict()}, buf)
    buf.seek(0)
    ck = torch.load(buf)
    net = Eps()
    net.load_state_dict(ck["net"])
    opt = torch.optim.Adam(net.parameters(), lr=2e-3)
    opt.load_state_dict(ck["opt"])
    to_plain(opt)
    train(net, opt, 800, 1500, log)
    print("final loss", sum(log[-50:]) / 50)


main()
