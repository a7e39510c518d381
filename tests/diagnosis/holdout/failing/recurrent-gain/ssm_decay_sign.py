"""A diagonal state-space layer (S4D style) that classifies the frequency of a noisy tone.

Cause: recurrent-gain
Fails: the state grows over the 100 time steps, the loss starts in the millions and training never gets near log(5)
"""

import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    d_model: int = 24
    d_state: int = 8
    length: int = 100
    classes: int = 5
    batch: int = 24
    steps: int = 100
    lr: float = 6e-3


class DiagonalSSM(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.log_dt = nn.Parameter(torch.linspace(math.log(0.02), math.log(0.1), c.d_model)[:, None])
        self.log_rate = nn.Parameter(torch.log(0.5 + 0.25 * torch.arange(c.d_state).float()).repeat(c.d_model, 1))
        self.freq = nn.Parameter(math.pi * torch.rand(c.d_model, c.d_state) * 4)
        self.B = nn.Parameter(torch.randn(c.d_model, c.d_state) / c.d_state**0.5)
        self.Cc = nn.Parameter(torch.randn(c.d_model, c.d_state) / c.d_state**0.5)
        self.Cs = nn.Parameter(torch.randn(c.d_model, c.d_state) / c.d_state**0.5)

    def forward(self, u):  # (B, T, D)
        dt = self.log_dt.exp()
        decay = torch.exp(self.log_rate.exp() * dt)  # fix: decay = torch.exp(-self.log_rate.exp() * dt)
        cos, sin = torch.cos(self.freq * dt), torch.sin(self.freq * dt)
        re = u.new_zeros(u.shape[0], *self.B.shape)
        im = torch.zeros_like(re)
        ys = []
        for t in range(u.shape[1]):
            drive = self.B * u[:, t, :, None]
            re, im = decay * (cos * re - sin * im) + drive, decay * (sin * re + cos * im)
            ys.append((self.Cc * re + self.Cs * im).sum(-1))
        return torch.stack(ys, 1)


class Net(nn.Module):
    def __init__(self, c: Config):
        super().__init__()
        self.enc = nn.Linear(1, c.d_model)
        self.ssm = DiagonalSSM(c)
        self.dec = nn.Linear(c.d_model, c.classes)

    def forward(self, x):
        y = self.ssm(self.enc(x))
        return self.dec(F.gelu(y[:, -40:]).mean(1))


def batch(c: Config):
    y = torch.randint(0, c.classes, (c.batch,))
    t = torch.arange(c.length) / 10.0
    w = 0.3 + 0.5 * y.float()
    x = torch.sin(w[:, None] * t + 6.28 * torch.rand(c.batch, 1)) + 0.2 * torch.randn(c.batch, c.length)
    return x[..., None], y


torch.manual_seed(0)
cfg = Config()
net = Net(cfg)
opt = torch.optim.Adam(net.parameters(), lr=cfg.lr)
log = []
for step in range(cfg.steps):
    x, y = batch(cfg)
    loss = F.cross_entropy(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    log.append(loss.item())
print("final loss", sum(log[-10:]) / 10)
