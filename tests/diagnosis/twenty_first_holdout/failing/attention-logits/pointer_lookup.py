"""Trains a small Transformer encoder with hand-written attention on key-value look-up.

Cause: attention-logits
Fails: the loss stays close to the entropy of a random answer
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)
torch.set_num_threads(1)
NK, NV, N, D = 24, 12, 12, 64


class MultiHeadAttention(nn.Module):
    def __init__(self, h=2):
        super().__init__()
        self.h, self.dk = h, D // h
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))

    def forward(self, x):
        B, T, _ = x.shape
        q, k, v = [f(x).view(B, T, self.h, self.dk).transpose(1, 2) for f in (self.q, self.k, self.v)]
        att = q @ k.transpose(-2, -1) * self.dk  # fix: att = q @ k.transpose(-2, -1) / math.sqrt(self.dk)
        return self.o((att.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.a, self.n1, self.n2 = MultiHeadAttention(), nn.LayerNorm(D), nn.LayerNorm(D)
        self.m = nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D))

    def forward(self, x):
        x = x + self.a(self.n1(x))
        return x + self.m(self.n2(x))


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.key, self.val = nn.Embedding(NK, D), nn.Embedding(NV + 1, D)
        self.blocks, self.norm, self.head = nn.Sequential(Block(), Block()), nn.LayerNorm(D), nn.Linear(D, NV)

    def forward(self, k, v, q):
        mem = self.key(k) + self.val(v)
        ask = self.key(q) + self.val(torch.full_like(q, NV))
        return self.head(self.norm(self.blocks(torch.cat([mem, ask.unsqueeze(1)], 1))[:, -1]))


def batch(n, g):
    k = torch.rand(n, NK, generator=g).argsort(1)[:, :N]
    v = torch.randint(0, NV, (n, N), generator=g)
    p = torch.randint(0, N, (n, 1), generator=g)
    return k, v, k.gather(1, p).squeeze(1), v.gather(1, p).squeeze(1)


model = Model()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
g = torch.Generator().manual_seed(5)
for step in range(400):
    k, v, q, y = batch(32, g)
    loss = F.cross_entropy(model(k, v, q), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    if step % 50 == 0:
        print("step", step, "loss", round(loss.item(), 4))
with torch.no_grad():
    k, v, q, y = batch(1000, g)
    print("final loss", F.cross_entropy(model(k, v, q), y).item())
