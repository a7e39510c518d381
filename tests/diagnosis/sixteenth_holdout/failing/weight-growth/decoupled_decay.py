"""Hand-written SGDW on two-moons-like rings with an MLP.

Cause: weight-growth
Fails: the decay step multiplies by more than one, weights grow exponentially; the
loss falls first, then rises and ends in huge values / nan.
"""
import math
import torch
from torch import nn
import torch.nn.functional as F

torch.manual_seed(20)


class SGDW(torch.optim.Optimizer):
    def __init__(self, params, lr=0.05, momentum=0.9, weight_decay=0.02):
        super().__init__(params, dict(lr=lr, momentum=momentum, weight_decay=weight_decay))

    @torch.no_grad()
    def step(self):
        for g in self.param_groups:
            for p in g["params"]:
                if p.grad is None:
                    continue
                st = self.state[p]
                buf = st.setdefault("buf", torch.zeros_like(p))
                buf.mul_(g["momentum"]).add_(p.grad)
                p.mul_(1 + g["lr"] * g["weight_decay"])  # fix: p.mul_(1 - g["lr"] * g["weight_decay"])
                p.add_(buf, alpha=-g["lr"])


def rings(n):
    c = torch.randint(0, 2, (n,))
    a = torch.rand(n) * 2 * math.pi
    r = 1.0 + c + 0.25 * torch.randn(n)
    return torch.stack([r * a.cos(), r * a.sin()], 1), c


net = nn.Sequential(nn.Linear(2, 64), nn.ReLU(), nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 2))
opt = SGDW(net.parameters())
seen = []
for it in range(6000):
    x, c = rings(64)
    loss = F.cross_entropy(net(x), c)
    opt.zero_grad()
    loss.backward()
    opt.step()
    seen.append(loss.item())
    if it % 500 == 0:
        print(f"{it:5d} loss {sum(seen[-100:]) / len(seen[-100:]):.4f}")
print(f"final loss {sum(seen[-100:]) / 100:.5f}")
