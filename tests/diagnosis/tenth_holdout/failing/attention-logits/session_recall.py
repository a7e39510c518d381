"""Attention model that looks up what a shopper put in the basket with a given product earlier in the session.

Cause: attention-logits
Fails: the loss stays at the constant guess (2.41 at the end, ln 12 is 2.48)
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(2024)
KEYS, VALUES, PAIRS, D = 30, 12, 10, 128


def sessions(n):
    k = torch.stack([torch.randperm(KEYS)[:PAIRS] for _ in range(n)])
    v = torch.randint(0, VALUES, (n, PAIRS))
    pick = torch.randint(0, PAIRS, (n, 1))
    return k, v, k.gather(1, pick), v.gather(1, pick).squeeze(1)


class Lookup(nn.Module):
    def __init__(self, layers=2, heads=2):
        super().__init__()
        self.key, self.val = nn.Embedding(KEYS, D), nn.Embedding(VALUES + 1, D)
        self.qkv = nn.ModuleList([nn.Linear(D, 3 * D) for _ in range(layers)])
        self.mix = nn.ModuleList([nn.Linear(D, D) for _ in range(layers)])
        self.ff = nn.ModuleList([nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D)) for _ in range(layers)])
        self.out = nn.Linear(D, VALUES)
        self.heads = heads

    def attend(self, x, l):
        B, T, _ = x.shape
        hd = D // self.heads
        q, k, v = (z.view(B, T, self.heads, hd).transpose(1, 2) for z in self.qkv[l](x).chunk(3, -1))
        y = F.scaled_dot_product_attention(q, k, v, scale=math.sqrt(hd))  # fix: y = F.scaled_dot_product_attention(q, k, v, scale=1.0 / math.sqrt(hd))
        return self.mix[l](y.transpose(1, 2).reshape(B, T, D))

    def forward(self, k, v, q):
        x = torch.cat([self.key(k) + self.val(v), self.key(q) + self.val(torch.full_like(q, VALUES))], 1)
        for l in range(len(self.qkv)):
            x = x + self.attend(x, l)
            x = x + self.ff[l](x)
        return self.out(x[:, -1])


net = Lookup()
opt = torch.optim.AdamW(net.parameters(), lr=1e-3, weight_decay=0.01)
hist = []
for step in range(260):
    k, v, q, y = sessions(64)
    loss = F.cross_entropy(net(k, v, q), y)
    opt.zero_grad()
    loss.backward()
    opt.step()
    hist.append(loss.item())
    if step % 50 == 0:
        print(step, round(hist[-1], 4))
print("final loss", sum(hist[-30:]) / 30)
