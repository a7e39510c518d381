"""RealNVP density model on a thin 6-d manifold with noise: NLL passes through zero and becomes strongly negative."""
import math
import numpy as np
import torch, torch.nn as nn

torch.manual_seed(1)
A = torch.randn(2, 6)
def data(n):
    t = torch.rand(n, 1) * 3; s = torch.randn(n, 1) * .3
    base = torch.cat([t * torch.cos(2 * t), t * torch.sin(2 * t) + s], 1)
    return torch.tanh(base @ A * .5) + .02 * torch.randn(n, 6)

class Coupling(nn.Module):
    def __init__(self, d, mask, h=40):
        super().__init__(); self.register_buffer("m", mask)
        self.net = nn.Sequential(nn.Linear(d, h), nn.SiLU(), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, 2 * d))
        nn.init.zeros_(self.net[-1].weight); nn.init.zeros_(self.net[-1].bias)
    def forward(self, x):
        s, t = self.net(x * self.m).chunk(2, -1)
        s = 2 * torch.tanh(s / 2) * (1 - self.m); t = t * (1 - self.m)
        return x * s.exp() + t, s.sum(-1)

class Flow(nn.Module):
    def __init__(self, d=6, n=6):
        super().__init__()
        ms = [(torch.arange(d) % 2 == i % 2).float() if i % 3 else (torch.arange(d) < d // 2).float() for i in range(n)]
        ms[3] = 1 - ms[3]
        self.layers = nn.ModuleList(Coupling(d, m) for m in ms)
        self.ls = nn.Parameter(torch.zeros(d))
    def log_prob(self, x):
        ld = self.ls.sum(); x = x * self.ls.exp()
        for l in self.layers: x, s = l(x); ld = ld + s
        return -.5 * (x ** 2 + math.log(2 * math.pi)).sum(-1) + ld

flow = Flow()
opt = torch.optim.Adam(flow.parameters(), lr=1e-3)
sched = torch.optim.lr_scheduler.OneCycleLR(opt, max_lr=2e-3, total_steps=5000, pct_start=.1)
nll = []
for it in range(5000):
    loss = -flow.log_prob(data(64)).mean()
    opt.zero_grad(); loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 20.)
    opt.step(); sched.step()
    nll.append(loss.item())
    if it % 500 == 0: print(f"{it} nll {np.mean(nll[-200:]):.3f} worst {max(nll[-200:]):.3f}")
print(f"final loss {np.mean(nll[-400:]):.4f}")
