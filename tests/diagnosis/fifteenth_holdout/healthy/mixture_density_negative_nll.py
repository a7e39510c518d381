"""A mixture density network inverts a noisy curve; its density loss falls far below zero."""
import math

import torch
from torch import nn


class MDN(nn.Module):
    def __init__(self, k=5, h=48):
        super().__init__()
        self.body = nn.Sequential(nn.Linear(1, h), nn.Tanh(), nn.Linear(h, h), nn.Tanh())
        self.pi, self.mu, self.ls = nn.Linear(h, k), nn.Linear(h, k), nn.Linear(h, k)
        nn.init.uniform_(self.mu.bias, -1.0, 1.0)

    def nll(self, x, y):
        h = self.body(x)
        ls = self.ls(h).clamp(-5, 3)
        comp = -0.5 * ((y - self.mu(h)) / ls.exp()) ** 2 - ls - 0.5 * math.log(2 * math.pi)
        return -torch.logsumexp(torch.log_softmax(self.pi(h), 1) + comp, 1).mean()


torch.manual_seed(8)
y = torch.rand(3000, 1) * 0.4 - 0.2
x = 4 * y + 0.5 * torch.sin(30 * y) + 0.01 * torch.randn_like(y)
net = MDN()
opt = torch.optim.Adam(net.parameters(), lr=6e-3)
warm = torch.optim.lr_scheduler.CosineAnnealingWarmRestarts(opt, T_0=120, T_mult=2)
hist = []
for step in range(840):
    b = torch.randint(0, 3000, (96,))
    loss = net.nll(x[b], y[b])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 3.0)
    opt.step()
    warm.step()
    hist.append(loss.item())
print("first loss", hist[0])
print("final loss", sum(hist[-40:]) / 40)
