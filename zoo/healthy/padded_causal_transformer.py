"""A causal transformer written out by hand, with masks of minus infinity and padding at the left."""

import math

import torch
import torch.nn.functional as F
from torch import nn

PAD, VOCAB, LENGTH = 0, 14, 16


class Attention(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.out = nn.Linear(width, width)

    def forward(self, x, padding):
        b, n, w = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, w // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(2, 3) / math.sqrt(w // self.heads)
        causal = torch.full((n, n), -math.inf).triu(1)
        scores = scores + causal
        scores = scores.masked_fill(padding[:, None, None, :], -math.inf)
        nothing = torch.isneginf(scores).all(-1, keepdim=True)
        weights = torch.softmax(scores.masked_fill(nothing, 0.0), -1).masked_fill(nothing, 0.0)
        return self.out((weights @ v).transpose(1, 2).reshape(b, n, w))


class Block(nn.Module):
    def __init__(self, width, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.mlp = nn.Sequential(nn.Linear(width, 3 * width), nn.GELU(), nn.Linear(3 * width, width))

    def forward(self, x, padding):
        x = x + self.attention(self.n1(x), padding)
        return x + self.mlp(self.n2(x))


class Model(nn.Module):
    def __init__(self, width=32):
        super().__init__()
        self.token = nn.Embedding(VOCAB, width, padding_idx=PAD)
        self.place = nn.Embedding(LENGTH, width)
        self.blocks = nn.ModuleList([Block(width, 4) for _ in range(2)])
        self.head = nn.Linear(width, VOCAB)

    def forward(self, ids):
        padding = ids == PAD
        x = self.token(ids) + self.place.weight
        for block in self.blocks:
            x = block(x, padding)
        return self.head(x)


def batch(count=32):
    """Arithmetic progressions modulo 13, padded at the left."""
    start, stride = torch.randint(0, 13, (count, 1)), torch.randint(1, 4, (count, 1))
    ids = 1 + (start + stride * torch.arange(LENGTH + 1)) % 13
    pad = torch.randint(0, 10, (count, 1))
    return ids.masked_fill(torch.arange(LENGTH + 1) < pad, PAD)


torch.manual_seed(11)
model = Model()
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for step in range(250):
    ids = batch()
    logits = model(ids[:, :-1])
    target = ids[:, 1:].masked_fill(ids[:, :-1] == PAD, -100)
    loss = F.cross_entropy(logits.flatten(0, 1), target.flatten(), ignore_index=-100)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-10:]) / 10)
