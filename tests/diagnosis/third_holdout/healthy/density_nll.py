"""A mixture density net on very narrow conditionals: the negative log likelihood goes far below zero."""
import math

import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, k=3):
        super().__init__()
        self.k = k
        self.trunk = nn.Sequential(nn.Linear(1, 48), nn.Tanh(), nn.Linear(48, 48), nn.Tanh())
        self.heads = nn.Linear(48, 3 * k)

    def nll(self, x, y):
        pi, mu, ls = self.heads(self.trunk(x)).chunk(3, -1)
        ls = ls.clamp(-5.0, 3.0)
        lp = -0.5 * ((y - mu) / ls.exp()) ** 2 - ls - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(pi.log_softmax(-1) + lp, -1).mean()


torch.manual_seed(18)
model = MDN()
opt = torch.optim.Adam(model.parameters(), lr=3e-3)
sched = torch.optim.lr_scheduler.ExponentialLR(opt, 0.998)
ema = 0.0
for step in range(1800):
    x = 2 * torch.rand(128, 1) - 1
    side = torch.where(torch.rand(128, 1) < 0.5, 1.0, -1.0)
    y = side * (0.5 + 0.3 * torch.sin(3 * x)) + 0.01 * torch.randn(128, 1)
    loss = model.nll(x, y)
    opt.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 2.0)
    opt.step()
    sched.step()
    ema = 0.98 * ema + 0.02 * loss.item()
print("final loss", ema)
