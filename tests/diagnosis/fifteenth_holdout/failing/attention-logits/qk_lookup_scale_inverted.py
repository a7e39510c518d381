"""A tiny RoPE transformer answers key-value look-ups written as token sequences.

Cause: attention-logits
Fails: query-key products are multiplied by the root of the head size, every softmax is one-hot and the answers stay at chance
"""
import torch
import torch.nn.functional as F
from torch import nn

KEYS, VALS, PAIRS = 12, 8, 6


def lookup_batch(n, g):
    keys = torch.stack([torch.randperm(KEYS, generator=g)[:PAIRS] for _ in range(n)])
    vals = torch.randint(VALS, (n, PAIRS), generator=g)
    ask = torch.randint(PAIRS, (n, 1), generator=g)
    seq = torch.stack([keys, vals + KEYS], 2).flatten(1)
    q = keys.gather(1, ask)
    return torch.cat([seq, q], 1), vals.gather(1, ask).squeeze(1)


def rope(x):
    T, d = x.shape[-2:]
    f = 100.0 ** (-torch.arange(0, d, 2) / d)
    ang = torch.arange(T)[:, None] * f
    a, b = x[..., ::2], x[..., 1::2]
    return torch.stack([a * ang.cos() - b * ang.sin(), a * ang.sin() + b * ang.cos()], -1).flatten(-2)


class Attention(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.h, self.dh = heads, d // heads
        self.qkv, self.o = nn.Linear(d, 3 * d), nn.Linear(d, d)
        nn.init.normal_(self.qkv.weight, std=0.12)

    def forward(self, x):
        B, T, d = x.shape
        q, k, v = self.qkv(x).view(B, T, 3, self.h, self.dh).permute(2, 0, 3, 1, 4)
        q, k = rope(q), rope(k)
        logits = q @ k.transpose(-1, -2) * self.dh ** 0.5  # fix: logits = q @ k.transpose(-1, -2) * self.dh ** -0.5
        future = torch.ones(T, T, dtype=torch.bool).triu(1)
        w = logits.masked_fill(future, -1e9).softmax(-1)
        return self.o((w @ v).transpose(1, 2).reshape(B, T, d))


class Layer(nn.Module):
    def __init__(self, d, heads):
        super().__init__()
        self.n1, self.n2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.att = Attention(d, heads)
        self.mlp = nn.Sequential(nn.Linear(d, 2 * d), nn.GELU(), nn.Linear(2 * d, d))

    def forward(self, x):
        x = x + self.att(self.n1(x))
        return x + self.mlp(self.n2(x))


g = torch.Generator().manual_seed(1)
torch.manual_seed(1)
D = 64
emb = nn.Embedding(KEYS + VALS, D)
body = nn.Sequential(Layer(D, 2), Layer(D, 2), nn.LayerNorm(D))
head = nn.Linear(D, VALS)
model = nn.ModuleList([emb, body, head])
opt = torch.optim.AdamW(model.parameters(), lr=1.5e-3, weight_decay=0.01)
hist = []
for step in range(420):
    x, y = lookup_batch(48, g)
    loss = F.cross_entropy(head(body(emb(x))[:, -1]), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 60 == 0:
        print(step, hist[-1])
print("final loss", sum(hist[-50:]) / 50)
