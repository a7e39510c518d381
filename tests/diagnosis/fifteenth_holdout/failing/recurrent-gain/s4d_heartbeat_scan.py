"""A diagonal state space model with complex poles classifies synthetic heartbeats as regular or with a skipped beat.

Cause: recurrent-gain
Fails: the poles lie outside the unit circle, the state grows over 96 steps, the first losses are huge and none is below chance
"""
import math

import torch
from torch import nn
from torch.nn import functional as F

torch.manual_seed(0)


class S4DLayer(nn.Module):
    def __init__(self, d_model, n=8, dt_min=0.01, dt_max=0.2):
        super().__init__()
        dt = torch.exp(torch.rand(d_model) * (math.log(dt_max) - math.log(dt_min)) + math.log(dt_min))
        self.log_dt = nn.Parameter(dt.log())
        self.log_A_real = nn.Parameter(torch.zeros(d_model, n) + math.log(1.0))
        self.A_imag = nn.Parameter(math.pi * torch.arange(n).float().repeat(d_model, 1))
        self.C = nn.Parameter(torch.randn(d_model, n, 2) * 0.5 / n ** 0.5)
        self.D = nn.Parameter(torch.ones(d_model))

    def forward(self, u):  # (B, L, H)
        dt = self.log_dt.exp()[:, None]
        A = torch.complex(self.log_A_real.exp(), self.A_imag)  # fix: A = torch.complex(-self.log_A_real.exp(), self.A_imag)
        Abar = torch.exp(dt * A)
        Bbar = (Abar - 1) / A
        C = torch.view_as_complex(self.C)
        state = torch.zeros(u.shape[0], *Abar.shape, dtype=torch.cfloat)
        ys = []
        for t in range(u.shape[1]):
            state = Abar * state + Bbar * u[:, t, :, None]
            ys.append(2 * (state * C).sum(-1).real)
        return torch.stack(ys, 1) + self.D * u


class ECGNet(nn.Module):
    def __init__(self, d=12):
        super().__init__()
        self.enc = nn.Linear(1, d)
        self.s1, self.s2 = S4DLayer(d), S4DLayer(d)
        self.m1, self.m2 = nn.Linear(d, d), nn.Linear(d, d)
        self.dec = nn.Linear(d, 2)

    def forward(self, x):
        x = self.enc(x)
        x = x + self.m1(F.gelu(self.s1(x)))
        x = x + self.m2(F.gelu(self.s2(x)))
        return self.dec(x.mean(1))


def beats(n, L=96):
    t = torch.arange(L).float()
    period = 11 + 4 * torch.rand(n, 1)
    phase = torch.rand(n, 1) * period
    k = torch.floor((t + phase) / period)
    pos = (t + phase) - k * period
    wave = torch.exp(-((pos - 6) ** 2) / 3) - 0.3 * torch.exp(-((pos - 10) ** 2) / 4)
    label = torch.randint(0, 2, (n,))
    skip = torch.randint(2, 4, (n, 1)).float()
    drop = (label[:, None] == 1) & ((k == skip) | (k == skip + 2) | (k == skip + 1))
    wave = torch.where(drop, torch.zeros_like(wave), wave) + 0.05 * torch.randn(n, L)
    return wave.unsqueeze(-1), label


net = ECGNet()
opt = torch.optim.AdamW(net.parameters(), lr=6e-3)
log = []
for it in range(110):
    x, y = beats(16)
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
    if it % 30 == 29:
        print(it + 1, sum(log[-30:]) / 30)
print("final loss", sum(log[-20:]) / 20)
