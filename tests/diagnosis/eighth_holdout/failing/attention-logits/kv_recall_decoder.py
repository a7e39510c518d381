"""Decoder-only transformer on associative recall (k1 v1 k2 v2 ... kq -> vq), grouped queries.

Cause: attention-logits
Fails: the loss stays near chance, 2.27 at first, 2.00 at the end (chance is 2.08; with the fix 0.0001)
"""
import math
from dataclasses import dataclass

import torch
import torch.nn as nn
import torch.nn.functional as F


@dataclass
class Config:
    keys: int = 8
    vals: int = 8
    pairs: int = 4
    d: int = 64
    heads: int = 4
    kv_heads: int = 2
    layers: int = 2
    steps: int = 420


class GQA(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.c, self.hd = c, c.d // c.heads
        self.wq = nn.Linear(c.d, c.d, bias=False)
        self.wk = nn.Linear(c.d, c.kv_heads * self.hd, bias=False)
        self.wv = nn.Linear(c.d, c.kv_heads * self.hd, bias=False)
        self.wo = nn.Linear(c.d, c.d, bias=False)
        self.scale = self.hd ** 2  # fix: self.scale = self.hd ** -0.5

    def forward(self, x):
        b, t, d = x.shape
        rep = self.c.heads // self.c.kv_heads
        q = self.wq(x).view(b, t, -1, self.hd).transpose(1, 2)
        k = self.wk(x).view(b, t, -1, self.hd).transpose(1, 2).repeat_interleave(rep, 1)
        v = self.wv(x).view(b, t, -1, self.hd).transpose(1, 2).repeat_interleave(rep, 1)
        att = (q @ k.mT) * self.scale
        att = att.masked_fill(torch.ones(t, t).triu(1).bool(), float("-inf")).softmax(-1)
        return self.wo((att @ v).transpose(1, 2).reshape(b, t, d))


class Net(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.tok = nn.Embedding(c.keys + c.vals, c.d)
        self.pos = nn.Embedding(2 * c.pairs + 1, c.d)
        self.att = nn.ModuleList(GQA(c) for _ in range(c.layers))
        self.ff = nn.ModuleList(nn.Sequential(nn.LayerNorm(c.d), nn.Linear(c.d, 128), nn.SiLU(), nn.Linear(128, c.d)) for _ in range(c.layers))
        self.ln = nn.ModuleList(nn.LayerNorm(c.d) for _ in range(c.layers))
        self.out = nn.Linear(c.d, c.vals)

    def forward(self, x):
        h = self.tok(x) + self.pos.weight
        for a, f, n in zip(self.att, self.ff, self.ln):
            h = h + a(n(h))
            h = h + f(h)
        return self.out(h[:, -1])


def draw(c, n):
    k = torch.rand(n, c.keys).argsort(1)[:, :c.pairs]
    v = torch.randint(0, c.vals, (n, c.pairs))
    q = torch.randint(0, c.pairs, (n, 1))
    seq = torch.stack([k, v + c.keys], -1).flatten(1)
    return torch.cat([seq, k.gather(1, q)], 1), v.gather(1, q)[:, 0]


if __name__ == "__main__":
    torch.manual_seed(4)
    c = Config()
    net = Net(c)
    opt = torch.optim.AdamW(net.parameters(), lr=3e-3, weight_decay=0.01)
    hist = []
    for s in range(c.steps):
        x, y = draw(c, 96)
        loss = F.cross_entropy(net(x), y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        hist.append(loss.item())
        if s % 60 == 0:
            print(s, f"{hist[-1]:.3f}", f"chance {math.log(c.vals):.3f}")
    print("final loss", sum(hist[-20:]) / 20)
