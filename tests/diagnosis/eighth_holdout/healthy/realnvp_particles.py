"""RealNVP flow on tightly correlated detector hits; the negative log-likelihood goes far below zero.
"""
import torch
import torch.nn as nn

torch.manual_seed(40)


class Coupling(nn.Module):
    def __init__(self, d, mask, h=48):
        super().__init__()
        self.register_buffer("mask", mask)
        self.f = nn.Sequential(nn.Linear(d, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh(), nn.Linear(h, 2 * d))
        nn.init.zeros_(self.f[-1].weight)
        nn.init.zeros_(self.f[-1].bias)

    def forward(self, x):
        s, t = self.f(x * self.mask).chunk(2, 1)
        s = 2 * torch.tanh(s / 2) * (1 - self.mask)
        return x * s.exp() + t * (1 - self.mask), s.sum(1)


def hits(n):
    r = torch.rand(n) * 2 + 0.5
    phi = 0.4 * r + 0.02 * torch.randn(n)
    z = 0.3 * r ** 2 + 0.02 * torch.randn(n)
    w = torch.sin(2 * r) + 0.02 * torch.randn(n)
    return torch.stack([r, phi, z, w], 1)


flow = nn.ModuleList([Coupling(4, torch.tensor([1., 1, 0, 0]) if i % 2 == 0 else torch.tensor([0., 0, 1, 1])) for i in range(6)])
opt = torch.optim.Adam(flow.parameters(), lr=2e-3)
sch = torch.optim.lr_scheduler.OneCycleLR(opt, 4e-3, total_steps=500)
seen = []
for step in range(500):
    x, ld = hits(256), 0
    for f in flow:
        x, l = f(x)
        ld = ld + l
    nll = (0.5 * x.square().sum(1) + 2 * 1.8379 / 2 * 2 - ld).mean()
    opt.zero_grad()
    nll.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 20.0)
    opt.step()
    sch.step()
    seen.append(nll.item())
    if step % 50 == 0:
        print(step, "nll", round(seen[-1], 3))
print("final loss", sum(seen[-20:]) / 20)
