"""Trains a RealNVP flow on noisy thin curves; the negative log-likelihood falls below zero and spikes now and then."""
import math
import torch
import torch.nn as nn

torch.manual_seed(5)
torch.set_num_threads(1)


def sample(n, g):
    a = torch.rand(n, generator=g) * 2 * math.pi
    r = 1 + 0.3 * torch.sin(3 * a)
    return 0.5 * torch.stack([r * a.cos(), r * a.sin()], 1) + 0.015 * torch.randn(n, 2, generator=g)


class Coupling(nn.Module):
    def __init__(self, flip, h=64):
        super().__init__()
        self.flip = flip
        self.net = nn.Sequential(nn.Linear(1, h), nn.ReLU(), nn.Linear(h, h), nn.ReLU(), nn.Linear(h, 2))

    def forward(self, x):
        a, b = (x[:, 1:], x[:, :1]) if self.flip else (x[:, :1], x[:, 1:])
        s, t = self.net(a).chunk(2, 1)
        s = 2 * torch.tanh(s)
        b = b * s.exp() + t
        return torch.cat([b, a] if self.flip else [a, b], 1), s.squeeze(1)


flow = nn.ModuleList([Coupling(k % 2 == 1) for k in range(8)])


def nll(x):
    ld = 0
    for f in flow:
        x, s = f(x)
        ld = ld + s
    return (0.5 * (x ** 2).sum(1) + math.log(2 * math.pi) - ld).mean()


g = torch.Generator().manual_seed(2)
opt = torch.optim.Adam(flow.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.CosineAnnealingLR(opt, 600)
for step in range(600):
    loss = nll(sample(128, g))
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(flow.parameters(), 5.0)
    opt.step()
    sched.step()
    if step % 60 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", nll(sample(2000, g)).item())
