"""Translate written-out dates to ISO strings: convolutional encoder, attention decoder, teacher forcing.

Cause: attention-logits
Fails: final loss 0.9097 (with the fix 0.002613)
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

rng = random.Random(6)
torch.manual_seed(6)
MONTHS = ["january", "february", "march", "april", "may", "june", "july",
          "august", "september", "october", "november", "december"]
SRC = " abcdefghijklmnopqrstuvwxyz0123456789"
TGT = "^-0123456789"
S = {c: i for i, c in enumerate(SRC)}
G = {c: i for i, c in enumerate(TGT)}


def pair():
    y, m, d = rng.randint(1950, 2049), rng.randint(1, 12), rng.randint(1, 28)
    src = f"{d} {MONTHS[m - 1]} {y}" if rng.random() < 0.5 else f"{MONTHS[m - 1]} {d} {y}"
    return src.ljust(18), f"^{y}-{m:02d}-{d:02d}"


def batch(n):
    ps = [pair() for _ in range(n)]
    return (torch.tensor([[S[c] for c in s] for s, _ in ps]),
            torch.tensor([[G[c] for c in t] for _, t in ps]))


class Seq2Seq(nn.Module):
    def __init__(self, d=64):
        super().__init__()
        self.d = d
        self.se = nn.Embedding(len(SRC), 32)
        self.te = nn.Embedding(len(TGT), 32)
        self.pos_k = nn.Parameter(torch.randn(18, d))
        self.pos_q = nn.Parameter(torch.randn(10, d))
        self.enc = nn.Conv1d(32, d, 3, padding=1)
        self.dec = nn.GRU(32, d, batch_first=True)
        self.q = nn.Linear(d, d)
        self.k = nn.Linear(d, d)
        nn.init.normal_(self.q.weight, std=1.0)
        nn.init.normal_(self.k.weight, std=1.0)
        self.out = nn.Linear(2 * d, len(TGT))

    def forward(self, src, tin):
        e = torch.tanh(self.enc(self.se(src).transpose(1, 2))).transpose(1, 2)
        h, _ = self.dec(self.te(tin))
        q = self.q(h + self.pos_q)
        k = self.k(e + self.pos_k)
        att = torch.softmax(q @ k.transpose(1, 2), -1)  # fix: att = torch.softmax(q @ k.transpose(1, 2) / self.d ** 1.5, -1)
        return self.out(torch.cat([h, att @ e], -1))


net = Seq2Seq()
opt = torch.optim.Adam(net.parameters(), lr=3e-3)
for step in range(400):
    s, t = batch(48)
    loss = F.cross_entropy(net(s, t[:, :-1]).transpose(1, 2), t[:, 1:])
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    opt.step()
    if step % 50 == 0:
        print(step, round(loss.item(), 4))

with torch.no_grad():
    s, t = batch(300)
    final = F.cross_entropy(net(s, t[:, :-1]).transpose(1, 2), t[:, 1:]).item()
print("final loss", final)
