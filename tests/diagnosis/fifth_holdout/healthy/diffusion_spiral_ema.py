"""Small denoising diffusion model on a spiral, evaluated through an averaged copy of the weights."""
import copy
import math

import torch
import torch.nn as nn


def spiral(n, g):
    r = torch.rand(n, generator=g).sqrt()
    a = 3 * math.pi * r
    return torch.stack([r * a.cos(), r * a.sin()], 1) * 2 + 0.03 * torch.randn(n, 2, generator=g)


class Eps(nn.Module):
    def __init__(self, width=96):
        super().__init__()
        self.register_buffer("freq", 2.0 ** torch.arange(6) * math.pi)
        self.f = nn.Sequential(nn.Linear(2 + 12, width), nn.SiLU(), nn.Linear(width, width), nn.SiLU(),
                               nn.Linear(width, width), nn.SiLU(), nn.Linear(width, 2))
        nn.init.zeros_(self.f[-1].weight)
        nn.init.zeros_(self.f[-1].bias)

    def forward(self, x, t):
        w = t[:, None] * self.freq
        return self.f(torch.cat([x, w.sin(), w.cos()], 1))


class Averaged:
    def __init__(self, model, rate):
        self.copy = copy.deepcopy(model).requires_grad_(False)
        self.rate, self.n = rate, 0

    @torch.no_grad()
    def update(self, model):
        self.n += 1
        r = min(self.rate, (1 + self.n) / (10 + self.n))
        for a, b in zip(self.copy.parameters(), model.parameters()):
            a.lerp_(b, 1 - r)


def objective(model, x, t, noise):
    ab = torch.cos(t * math.pi / 2).square()[:, None].clamp(1e-4, 1.0)
    return (model(ab.sqrt() * x + (1 - ab).sqrt() * noise, t) - noise).square().mean()


torch.manual_seed(54)
gen = torch.Generator().manual_seed(54)
net = Eps()
ema = Averaged(net, 0.995)
opt = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-4)
held = (spiral(1000, gen), torch.rand(1000, generator=gen), torch.randn(1000, 2, generator=gen))
for step in range(1200):
    for group in opt.param_groups:
        group["lr"] = 2e-3 * min(1.0, (step + 1) / 50) * (1 - step / 1300)
    x = spiral(128, gen)
    loss = objective(net, x, torch.rand(128, generator=gen), torch.randn(128, 2, generator=gen))
    opt.zero_grad()
    loss.backward()
    opt.step()
    ema.update(net)
    if step % 150 == 0:
        with torch.no_grad():
            print(step, "raw", loss.item(), "averaged", objective(ema.copy, *held).item())
with torch.no_grad():
    final = objective(ema.copy, *held).item()
print("final loss", final)
