"""Trains a small DDPM on scikit-learn digits with an exponential moving average of the weights; the loss is noisy by nature."""
import copy
import math
import torch
import torch.nn as nn
import torch.nn.functional as F
from sklearn.datasets import load_digits

torch.manual_seed(4)
torch.set_num_threads(1)
X = torch.tensor(load_digits().data, dtype=torch.float32) / 8 - 1
T = 200
beta = torch.linspace(1e-4, 0.05, T)
abar = torch.cumprod(1 - beta, 0)


class Eps(nn.Module):
    def __init__(self, h=192):
        super().__init__()
        self.inp, self.t1, self.out = nn.Linear(64, h), nn.Linear(32, h), nn.Linear(h, 64)
        self.blocks = nn.ModuleList([nn.Sequential(nn.LayerNorm(h), nn.Linear(h, h), nn.SiLU(), nn.Linear(h, h)) for _ in range(3)])
        nn.init.zeros_(self.out.weight)

    def forward(self, x, t):
        f = torch.exp(-math.log(1000.0) * torch.arange(16) / 16)
        e = t.float().unsqueeze(1) * f
        h = self.inp(x) + self.t1(torch.cat([e.sin(), e.cos()], 1))
        for b in self.blocks:
            h = h + b(h)
        return self.out(h)


def loss_fn(m, x, g):
    t = torch.randint(0, T, (len(x),), generator=g)
    n = torch.randn(x.shape, generator=g)
    a = abar[t].unsqueeze(1)
    return F.mse_loss(m(a.sqrt() * x + (1 - a).sqrt() * n, t), n)


g = torch.Generator().manual_seed(1)
model = Eps()
ema = copy.deepcopy(model).requires_grad_(False)
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
for step in range(700):
    loss = loss_fn(model, X[torch.randint(0, 1500, (16,), generator=g)], g)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    for a, b in zip(ema.parameters(), model.parameters()):
        a.lerp_(b, 0.02)
    if step % 70 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    print("final loss", loss_fn(ema, X[1500:].repeat(4, 1), g).item())
