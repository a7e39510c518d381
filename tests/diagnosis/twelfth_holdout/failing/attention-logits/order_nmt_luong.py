"""GRU encoder-decoder with dot-product attention: reverse-and-shift toy language pair.

Cause: attention-logits
Fails: final token accuracy 0.3803 (with the fix 0.9985)
"""
import math, random
import torch
import torch.nn as nn

random.seed(9); torch.manual_seed(9)
V, L, D, H = 24, 8, 48, 96
BOS = V


class Attention(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.wq = nn.Parameter(torch.randn(dim, dim) / math.sqrt(dim))
        self.wk = nn.Parameter(torch.randn(dim, dim) / math.sqrt(dim))

    def forward(self, query, memory):
        s = (query @ self.wq) @ (memory @ self.wk).transpose(1, 2) / math.sqrt(query.size(-1))
        return torch.softmax(s, -1) @ memory


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V, D)
        self.p = nn.Embedding(L, D)
        self.r = nn.GRU(D, H // 2, batch_first=True, bidirectional=True)

    def forward(self, s):
        return self.r(self.e(s) + self.p.weight)[0]


class Decoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(V + 1, D)
        self.r = nn.GRU(D, H, batch_first=True)
        self.a = Attention(H)
        self.o = nn.Sequential(nn.Linear(2 * H, H), nn.Tanh(), nn.Linear(H, V))

    def forward(self, y, mem):
        h, _ = self.r(self.e(y))
        return self.o(torch.cat([h, self.a(h, mem)], -1))


def pairs(n):
    s = torch.randint(V, (n, L))
    t = (s.flip(1) + 3) % V
    return s, t


enc, dec = Encoder(), Decoder()
attn = [dec.a.wq, dec.a.wk]
rest = [p for m in (enc, dec) for p in m.parameters() if all(p is not a for a in attn)]
params = rest + attn
mult = 300.0  # fix: mult = 1.0
opt = torch.optim.Adam([{"params": rest}, {"params": attn, "lr": 1.5e-3 * mult}], lr=1.5e-3)
for it in range(220):
    s, t = pairs(48)
    y_in = torch.cat([torch.full((48, 1), BOS), t[:, :-1]], 1)
    loss = nn.functional.cross_entropy(dec(y_in, enc(s)).transpose(1, 2), t)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(params, 1.0)
    opt.step()
    if it % 50 == 0:
        print(it, f"{loss.item():.4f}")
with torch.no_grad():
    s, t = pairs(500)
    y_in = torch.cat([torch.full((500, 1), BOS), t[:, :-1]], 1)
    acc = (dec(y_in, enc(s)).argmax(-1) == t).float().mean().item()
print("final token accuracy", round(acc, 4))
