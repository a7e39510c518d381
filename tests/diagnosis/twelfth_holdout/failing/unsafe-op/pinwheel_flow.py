"""RealNVP density model of a pinwheel whose coordinates come in metres (tens of units wide).

Cause: unsafe-op
Fails: final test nll nan (with the fix 7.284)
"""
import math
import torch
import torch.nn as nn

torch.manual_seed(70)


def pinwheel(n):
    k = torch.randint(5, (n,))
    r = 1.0 + 0.3 * torch.randn(n)
    th = k * 2 * math.pi / 5 + 0.12 * torch.randn(n) + 0.6 * torch.exp(r - 1)
    return 12 * torch.stack([r * th.cos(), r * th.sin()], 1)


class Coupling(nn.Module):
    def __init__(self, flip, h=48):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x):
        a, b = x.chunk(2, 1)
        if self.flip:
            a, b = b, a
        s, t = self.net(a).chunk(2, 1)
        # fix: s = 2 * torch.tanh(s / 2)
        b = (b + t) * torch.exp(s)
        out = torch.cat([b, a] if self.flip else [a, b], 1)
        return out, s.squeeze(1)


class Flow(nn.Module):
    def __init__(self, n=8):
        super().__init__()
        self.layers = nn.ModuleList(Coupling(i % 2 == 0) for i in range(n))

    def log_prob(self, x):
        ld = torch.zeros(len(x))
        for l in self.layers:
            x, s = l(x)
            ld = ld + s
        return -0.5 * x.pow(2).sum(1) - math.log(2 * math.pi) + ld


flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=2e-3)
sch = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 400)
for i in range(400):
    nll = -flow.log_prob(pinwheel(128)).mean()
    opt.zero_grad()
    nll.backward()
    opt.step()
    sch.step()
    if i % 50 == 0:
        print("step", i, "nll", nll.item())
with torch.no_grad():
    v = -flow.log_prob(pinwheel(3000)).mean().item()
print(f"final test nll {v:.4f}")
