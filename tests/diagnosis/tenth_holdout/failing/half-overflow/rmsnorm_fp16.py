"""Decoder-only word model in half precision with float32 master weights (LLM inference code turned into training code).

Cause: half-overflow
Fails: the loss is exactly 4.852 (ln 128) from the first step to the last
"""
import math
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1337)
rng = np.random.default_rng(1337)
V, D, T, B, LAYERS = 128, 48, 24, 8, 2

succ = rng.integers(0, V, (V, 3))
seq = [0]
for _ in range(20000):
    seq.append(succ[seq[-1], rng.integers(3)] if rng.random() < 0.85 else rng.integers(V))
data = torch.tensor(np.array(seq))


class RMSNorm(nn.Module):
    def __init__(self, dim, eps=1e-5):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(dim))
        self.eps = eps

    def forward(self, x):
        ms = x.pow(2).mean(-1, keepdim=True)  # fix: ms = x.float().pow(2).mean(-1, keepdim=True)
        return (x * torch.rsqrt(ms + self.eps)).to(x.dtype) * self.weight


class Layer(nn.Module):
    def __init__(self):
        super().__init__()
        self.n1, self.n2 = RMSNorm(D), RMSNorm(D)
        self.qkv = nn.Linear(D, 3 * D, bias=False)
        self.o = nn.Linear(D, D, bias=False)
        self.up, self.down = nn.Linear(D, 2 * D, bias=False), nn.Linear(2 * D, D, bias=False)

    def forward(self, x):
        q, k, v = self.qkv(self.n1(x)).chunk(3, -1)
        att = (q @ k.transpose(1, 2)) / math.sqrt(D)
        att = att.masked_fill(torch.ones(x.size(1), x.size(1), dtype=torch.bool).triu(1), -6e4)
        x = x + self.o(att.softmax(-1) @ v)
        return x + self.down(F.silu(self.up(self.n2(x))))


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(V, D)
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm = RMSNorm(D)
        self.head = nn.Linear(D, V, bias=False)
        self.emb_scale = 192.0

    def forward(self, idx):
        x = self.emb(idx) * self.emb_scale
        for l in self.layers:
            x = l(x)
        return self.head(self.norm(x))


model = LM().half()
master = [p.detach().clone().float().requires_grad_(True) for p in model.parameters()]
opt = torch.optim.Adam(master, lr=2e-3, betas=(0.9, 0.98))
SCALE = 512.0
hist = []
for step in range(300):
    i = torch.randint(len(data) - T - 1, (B,))
    x = torch.stack([data[j:j + T] for j in i])
    y = torch.stack([data[j + 1:j + T + 1] for j in i])
    loss = F.cross_entropy(model(x).float().view(-1, V), y.view(-1))
    model.zero_grad()
    (loss * SCALE).backward()
    for p, m in zip(model.parameters(), master):
        m.grad = p.grad.float() / SCALE
    torch.nn.utils.clip_grad_norm_(master, 1.0)
    opt.step()
    with torch.no_grad():
        for p, m in zip(model.parameters(), master):
            p.copy_(m)
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, loss.item())
print("final loss", float(np.mean(hist[-20:])))
