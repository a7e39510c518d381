"""Encoder with segment-restricted attention for NER-like tagging of packed notes.

Cause: unsafe-op
Fails: the loss is not finite from step 0 on
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(1)
V, L, D, TAGS = 60, 24, 48, 5
table = torch.randint(0, TAGS, (V,))


def make_batch(bs=32):
    tok = torch.randint(1, V, (bs, L))
    n = torch.randint(8, L, (bs,))
    pad = torch.arange(L)[None] >= n[:, None]
    seg = (torch.arange(L)[None] >= (n // 2)[:, None]).long()
    first = torch.zeros(bs, L, dtype=torch.long)
    first[torch.arange(bs)[:, None], torch.arange(L)] = torch.where(
        seg == 0, tok[:, :1].expand(-1, L), tok.gather(1, (n // 2)[:, None]).expand(-1, L))
    tag = (table[tok] + table[first]) % TAGS
    tok = tok.masked_fill(pad, 0)
    tag = tag.masked_fill(pad, -100)
    return tok, seg.masked_fill(pad, 2), pad, tag


class Layer(nn.Module):
    def __init__(self, d, heads=4):
        super().__init__()
        self.h = heads
        self.qkv = nn.Linear(d, 3 * d)
        self.o = nn.Linear(d, d)
        self.ff = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)

    def forward(self, x, block):
        b, l, d = x.shape
        q, k, v = self.qkv(self.n1(x)).view(b, l, 3, self.h, -1).permute(2, 0, 3, 1, 4)
        s = q @ k.transpose(-1, -2) / math.sqrt(d // self.h)
        s = s.masked_fill(block[:, None], float("-inf"))  # fix: s = s.masked_fill(block[:, None], -1e4)
        x = x + self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(b, l, d))
        return x + self.ff(self.n2(x))


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok = nn.Embedding(V, D)
        self.pos = nn.Embedding(L, D)
        self.seg = nn.Embedding(3, D)
        self.layers = nn.ModuleList(Layer(D) for _ in range(2))
        self.out = nn.Linear(D, TAGS)

    def forward(self, tok, seg, pad):
        x = self.tok(tok) + self.pos.weight + self.seg(seg)
        block = (seg[:, :, None] != seg[:, None, :]) | pad[:, None, :]
        for l in self.layers:
            x = l(x, block)
        return self.out(x)


model = Tagger()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
recent = []
for step in range(250):
    tok, seg, pad, tag = make_batch()
    loss = F.cross_entropy(model(tok, seg, pad).flatten(0, 1), tag.flatten(), ignore_index=-100)
    opt.zero_grad()
    loss.backward()
    opt.step()
    recent.append(loss.item())
    if step % 50 == 0:
        print("step %d loss %.4f" % (step, loss.item()))
print("final loss", sum(recent[-10:]) / 10)
