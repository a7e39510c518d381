"""Attention reader: find the value stored under a key (associative recall).

Cause: attention-logits
Fails: scores have a spread of dozens to hundreds, the soft-max is one-hot on random places from the
start and hardly any gradient arrives; loss stays far above zero.
"""
import math
import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(44)
KEYS, VALS, PAIRS = 60, 10, 24


class Reader(nn.Module):
    def __init__(self, d=128):
        super().__init__()
        self.key_emb = nn.Embedding(KEYS, d)
        self.val_emb = nn.Embedding(VALS, d)
        self.wq, self.wk, self.wv = (nn.Linear(d, 512) for _ in range(3))
        for m in (self.wq, self.wk):
            nn.init.normal_(m.weight, std=d ** -0.5)
        self.out = nn.Linear(512, VALS)

    def forward(self, keys, vals, query):
        q = self.wq(self.key_emb(query))[:, None]
        mem = self.key_emb(keys)
        scores = q @ self.wk(mem).transpose(1, 2)  # fix: scores = q @ self.wk(mem).transpose(1, 2) / math.sqrt(512)
        att = F.softmax(scores, -1)
        return self.out((att @ self.wv(self.val_emb(vals))).squeeze(1))


def batch(n=64):
    keys = torch.rand(n, KEYS).argsort(1)[:, :PAIRS]
    vals = torch.randint(0, VALS, (n, PAIRS))
    pos = torch.randint(0, PAIRS, (n,))
    r = torch.arange(n)
    return keys, vals, keys[r, pos], vals[r, pos]


model = Reader()
opt = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
tail = []
for step in range(1000):
    k, v, q, t = batch()
    loss = F.cross_entropy(model(k, v, q), t)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    tail.append(loss.item())
    if step % 100 == 99:
        print(f"step {step + 1} ce {sum(tail[-100:]) / 100:.4f}")
print(f"final loss {sum(tail[-50:]) / 50:.4f}")
