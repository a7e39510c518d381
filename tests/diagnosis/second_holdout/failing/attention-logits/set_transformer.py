"""Finds the value of the member nearest to a marker in a set, with two self-attention layers.

Cause: attention-logits
Fails: a gain on the projections lets the attention logits reach thousands; one-hot attention passes no gradient
"""
import argparse
import math
import torch
from torch import nn

ap = argparse.ArgumentParser()
ap.add_argument("--qk-gain", type=float, default=100.0)  # fix: ap.add_argument("--qk-gain", type=float, default=1.0)
ap.add_argument("--steps", type=int, default=600)
ap.add_argument("--dim", type=int, default=48)
opt = ap.parse_args()
torch.manual_seed(31)


def make(n, m=10):
    pos = torch.rand(n, m) * 2 - 1
    val = torch.rand(n, m) * 2 - 1
    marker = torch.rand(n, 1) * 2 - 1
    d = (pos - marker).abs()
    w = torch.softmax(-d * 8, -1)
    tokens = torch.stack([pos, val, marker.expand(-1, m)], -1)
    return tokens, (w * val).sum(-1)


class Attention(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(d, d) for _ in range(4))
        nn.init.xavier_uniform_(self.q.weight, gain=opt.qk_gain)
        nn.init.xavier_uniform_(self.k.weight, gain=opt.qk_gain)

    def forward(self, x):
        s = self.q(x) @ self.k(x).transpose(1, 2) / math.sqrt(x.size(-1))
        return self.o(s.softmax(-1) @ self.v(x))


class SetNet(nn.Module):
    def __init__(self, d):
        super().__init__()
        self.embed = nn.Sequential(nn.Linear(3, d), nn.GELU(), nn.Linear(d, d))
        self.att = nn.ModuleList(Attention(d) for _ in range(2))
        self.n = nn.ModuleList(nn.LayerNorm(d) for _ in range(2))
        self.pool_q = nn.Parameter(torch.randn(d) * 0.1)
        self.out = nn.Linear(d, 1)

    def forward(self, x):
        h = self.embed(x)
        for a, n in zip(self.att, self.n):
            h = a(n(h))
        return self.out(h[:, 0]).squeeze(-1)


net = SetNet(opt.dim)
optim = torch.optim.AdamW(net.parameters(), lr=1e-3)
tot = None
for it in range(opt.steps):
    x, y = make(64)
    loss = (net(x) - y).pow(2).mean()
    optim.zero_grad()
    loss.backward()
    optim.step()
    tot = loss.item() if tot is None else 0.95 * tot + 0.05 * loss.item()
    if it % 100 == 0:
        print("iter", it, "mse", loss.item())
print("final loss", tot)
