"""Causal transformer on modular counting, -inf masks, checkpointed activations, zero-started head, saved and resumed half-way."""
import io
import math

import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.checkpoint import checkpoint

MOD, LEN = 11, 16


class Block(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.heads = heads
        self.ln1, self.ln2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.qkv, self.proj = nn.Linear(d, 3 * d), nn.Linear(d, d)
        self.ff = nn.Sequential(nn.Linear(d, 3 * d), nn.GELU(), nn.Linear(3 * d, d))

    def forward(self, x, mask):
        b, t, d = x.shape
        q, k, v = self.qkv(self.ln1(x)).view(b, t, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        a = (q @ k.transpose(-1, -2)) / math.sqrt(d // self.heads) + mask
        x = x + self.proj((a.softmax(-1) @ v).transpose(1, 2).reshape(b, t, d))
        return x + self.ff(self.ln2(x))


class Counter(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.tok, self.pos = nn.Embedding(MOD, d), nn.Parameter(torch.randn(LEN, d) * 0.02)
        self.blocks = nn.ModuleList(Block(d, 4) for _ in range(2))
        self.head = nn.Linear(d, MOD)
        nn.init.zeros_(self.head.weight)
        self.register_buffer("mask", torch.full((LEN, LEN), float("-inf")).triu(1))

    def forward(self, s):
        x = self.tok(s) + self.pos
        for blk in self.blocks:
            x = checkpoint(blk, x, self.mask, use_reentrant=False)
        return self.head(x)


def sequences(n, g):
    start = torch.randint(0, MOD, (n, 1), generator=g)
    stride = torch.randint(1, MOD, (n, 1), generator=g)
    return (start + stride * torch.arange(LEN + 1)) % MOD


def segment(net, opt, g, steps, offset):
    out = []
    for i in range(offset, offset + steps):
        s = sequences(24, g)
        loss = F.cross_entropy(net(s[:, :-1])[:, 1:].flatten(0, 1), s[:, 2:].flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        out.append(loss.item())
        if i % 40 == 0:
            print(i, out[-1])
    return out


def fresh():
    net = Counter()
    return net, torch.optim.AdamW(net.parameters(), lr=3e-3, betas=(0.9, 0.98))


if __name__ == "__main__":
    torch.manual_seed(65)
    g = torch.Generator().manual_seed(65)
    net, opt = fresh()
    segment(net, opt, g, 160, 0)
    box = io.BytesIO()
    torch.save({"net": net.state_dict(), "opt": opt.state_dict()}, box)
    box.seek(0)
    saved = torch.load(box)
    net, opt = fresh()
    net.load_state_dict(saved["net"])
    opt.load_state_dict(saved["opt"])
    out = segment(net, opt, g, 160, 160)
    print("final loss", sum(out[-20:]) / 20)
