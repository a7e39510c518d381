"""A diagonal state space layer (S4D-real style) stack denoises sums of sines, sequences of 160 samples.

Cause: recurrent-gain
"""
from __future__ import annotations
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
torch.manual_seed(2024)


class DiagonalSSM(nn.Module):
    """x_{k+1} = Abar x_k + Bbar u_k ;  y = C x + D u  (real diagonal, ZOH)."""

    def __init__(self, d_model: int, n: int = 8):
        super().__init__()
        self.log_a = nn.Parameter(torch.log(0.5 + torch.arange(n).float()).repeat(d_model, 1))
        self.log_dt = nn.Parameter(torch.empty(d_model, 1).uniform_(math.log(0.02), math.log(0.3)))
        self.B = nn.Parameter(torch.ones(d_model, n))
        self.C = nn.Parameter(torch.randn(d_model, n) / math.sqrt(n))
        self.D = nn.Parameter(torch.ones(d_model))

    def kernel(self, L: int) -> torch.Tensor:
        a, dt = self.log_a.exp(), self.log_dt.exp()
        k = torch.arange(L, device=a.device).float()
        powers = torch.exp(a[..., None] * dt[..., None] * k)  # fix: powers = torch.exp(-a[..., None] * dt[..., None] * k)
        return torch.einsum("dn,dnl->dl", self.C * self.B * dt, powers)

    def forward(self, u: torch.Tensor) -> torch.Tensor:       # u: (batch, d, L)
        L = u.shape[-1]
        K = self.kernel(L)
        y = torch.fft.irfft(torch.fft.rfft(u, n=2 * L) * torch.fft.rfft(K, n=2 * L), n=2 * L)[..., :L]
        return y + self.D[:, None] * u


class Block(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.norm = nn.LayerNorm(d)
        self.ssm = DiagonalSSM(d)
        self.mix = nn.Linear(d, 2 * d)

    def forward(self, x):
        z = self.ssm(self.norm(x).transpose(1, 2)).transpose(1, 2)
        return x + F.glu(self.mix(F.gelu(z)), -1)


class Denoiser(nn.Module):
    def __init__(self, d=20, depth=2):
        super().__init__()
        self.inp = nn.Linear(1, d)
        self.blocks = nn.ModuleList(Block(d) for _ in range(depth))
        self.out = nn.Linear(d, 1)

    def forward(self, x):
        x = self.inp(x)
        for blk in self.blocks:
            x = blk(x)
        return self.out(x)


def sample(bs=16, L=160):
    t = torch.arange(L) / L
    f = torch.rand(bs, 3, 1) * 8 + 1
    clean = torch.sin(2 * math.pi * (f * t + torch.rand(bs, 3, 1))).sum(1)
    return (clean + 0.8 * torch.randn(bs, L))[..., None], clean[..., None]


net = Denoiser()
opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
tail = []
for step in range(300):
    x, y = sample()
    loss = F.mse_loss(net(x), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    tail.append(loss.item())
    if step % 40 == 0:
        print(f"step {step} loss {loss.item():.4g}")
print("final loss", sum(tail[-20:]) / 20)
