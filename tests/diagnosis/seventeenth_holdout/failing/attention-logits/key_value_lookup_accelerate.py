"""Trains a small attention model with accelerate on a key-value lookup language (k1 v1 k2 v2 ... query -> value).
Cause: attention-logits
Fails: the loss stays around 2.2 to 2.7, near ln(12) = 2.48, the level of guessing among the values.
"""
import math
import torch
import torch.nn as nn
from accelerate import Accelerator
from torch.utils.data import DataLoader, TensorDataset

torch.manual_seed(67)
KEYS, VALS, P, D, HEADS = 24, 12, 12, 128, 1


def make(n):
    k = torch.stack([torch.randperm(KEYS)[:P] for _ in range(n)])
    v = torch.randint(0, VALS, (n, P))
    j = torch.randint(0, P, (n,))
    return k, v, k[torch.arange(n), j], v[torch.arange(n), j]


class Attn(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D, bias=False) for _ in range(4))
        for m in (self.q, self.k, self.v, self.o):
            nn.init.xavier_normal_(m.weight)
        self.dh = D // HEADS

    def forward(self, x, ctx):
        B = x.size(0)
        h = lambda t: t.view(B, -1, HEADS, self.dh).transpose(1, 2)
        q, k, v = h(self.q(x)), h(self.k(ctx)), h(self.v(ctx))
        s = (q @ k.transpose(-1, -2)) * math.sqrt(self.dh)  # fix: s = (q @ k.transpose(-1, -2)) / math.sqrt(self.dh)
        return self.o((s.softmax(-1) @ v).transpose(1, 2).reshape(B, -1, D))


class Lookup(nn.Module):
    def __init__(self):
        super().__init__()
        self.ke, self.ve = nn.Embedding(KEYS, D), nn.Embedding(VALS, D)
        self.a1, self.a2 = Attn(), Attn()
        self.n0, self.n1, self.n2 = nn.LayerNorm(D), nn.LayerNorm(D), nn.LayerNorm(D)
        self.out = nn.Linear(D, VALS)

    def forward(self, k, v, q):
        ctx = self.n0(self.ke(k) + self.ve(v))
        x = self.ke(q).unsqueeze(1)
        x = x + self.a1(self.n1(x), ctx)
        x = x + self.a2(self.n2(x), ctx)
        return self.out(x[:, 0])


acc = Accelerator(cpu=True)
model = Lookup()
opt = torch.optim.AdamW(model.parameters(), lr=1e-3)
dl = DataLoader(TensorDataset(*make(3000)), batch_size=64, shuffle=True)
model, opt, dl = acc.prepare(model, opt, dl)
for epoch in range(8):
    tot = []
    for k, v, q, y in dl:
        loss = nn.functional.cross_entropy(model(k, v, q), y)
        opt.zero_grad()
        acc.backward(loss)
        opt.step()
        tot.append(loss.item())
    if epoch % 2 == 0:
        print("epoch", epoch, round(sum(tot) / len(tot), 4))
print("final loss", round(sum(tot) / len(tot), 4))
