"""Hand-written causal and padding masks of minus infinity under bfloat16 autocast, with gradient accumulation."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(6)
V, D, H, T = 12, 48, 3, 14


class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.qkv, self.proj = nn.Linear(D, 3 * D), nn.Linear(D, D)

    def forward(self, x, pad):
        B, L, _ = x.shape
        q, k, v = (t.view(B, L, H, D // H).transpose(1, 2) for t in self.qkv(x).chunk(3, -1))
        bias = torch.zeros(L, L).masked_fill(torch.ones(L, L).triu(1).bool(), float("-inf"))
        bias = bias + torch.zeros(B, 1, 1, L).masked_fill(pad[:, None, None, :], float("-inf"))
        w = (q @ k.transpose(-1, -2) / math.sqrt(D // H) + bias).softmax(-1)
        return self.proj((w @ v).transpose(1, 2).reshape(B, L, D))


class LM(nn.Module):
    def __init__(self):
        super().__init__()
        self.tok, self.pos = nn.Embedding(V, D), nn.Embedding(T, D)
        self.ln = nn.ModuleList([nn.LayerNorm(D) for _ in range(5)])
        self.att = nn.ModuleList([Attn() for _ in range(2)])
        self.mlp = nn.ModuleList([nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D)) for _ in range(2)])
        self.head = nn.Linear(D, V)

    def forward(self, ids):
        pad = ids == 0
        x = self.tok(ids) + self.pos.weight[: ids.shape[1]]
        for i in range(2):
            x = x + self.att[i](self.ln[2 * i](x), pad)
            x = x + self.mlp[i](self.ln[2 * i + 1](x))
        return self.head(self.ln[4](x))


def batch(n=16):
    """Counting sequences of different lengths, padded on the right with zeros."""
    start, step = torch.randint(0, 11, (n, 1)), torch.randint(1, 4, (n, 1))
    seq = 1 + (start + step * torch.arange(T)) % 11
    keep = torch.arange(T) < torch.randint(4, T + 1, (n, 1))
    return seq * keep


model = LM()
opt = torch.optim.AdamW(model.parameters(), lr=2e-3)
losses = []
for step in range(120):
    opt.zero_grad()
    acc = 0.0
    for _ in range(2):
        ids = batch()
        with torch.autocast("cpu", dtype=torch.bfloat16):
            logits = model(ids[:, :-1])
        tgt = ids[:, 1:].masked_fill(ids[:, 1:] == 0, -100)
        loss = F.cross_entropy(logits.float().transpose(1, 2), tgt) / 2
        loss.backward()
        acc += loss.item()
    opt.step()
    losses.append(acc)
print("final loss", sum(losses[-10:]) / 10)
