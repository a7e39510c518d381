"""Translates written dates into ISO form, seq2seq GRU with dot attention, micro-batches accumulated.

Cause: loss-scale
Fails: the loss jumps up in the first updates and stays far above its starting value
"""
import random
import datetime as dt
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(4)
torch.manual_seed(4)
MONTHS = "january february march april may june july august september october november december".split()


def pair():
    d = dt.date(1970, 1, 1) + dt.timedelta(days=random.randrange(20000))
    src = random.choice([f"{d.day} {MONTHS[d.month - 1][:3]} {d.year}", f"{MONTHS[d.month - 1][:3]} {d.day}, {d.year}", f"{d.day:02d}/{d.month:02d}/{d.year}"])
    return src.ljust(12), d.strftime("%Y%m%d")


CH = {c: i for i, c in enumerate(sorted(set("abcdefghijklmnopqrstuvwxyz0123456789 ,/")))}
pairs = [pair() for _ in range(4000)]
S = torch.tensor([[CH[c] for c in a] for a, _ in pairs])
T = torch.tensor([[int(c) for c in b] for _, b in pairs])


class Encoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb = nn.Embedding(len(CH), 32)
        self.gru = nn.GRU(32, h // 2, batch_first=True, bidirectional=True)

    def forward(self, s):
        o, h = self.gru(self.emb(s))
        return o, torch.cat([h[0], h[1]], -1)


class Decoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb = nn.Embedding(11, 32)
        self.cell = nn.GRUCell(32 + h, h)
        self.out = nn.Linear(2 * h, 10)

    def forward(self, enc, h, tgt):
        prev = torch.full_like(tgt[:, 0], 10)
        c = enc.mean(1)
        logits = []
        for t in range(tgt.shape[1]):
            h = self.cell(torch.cat([self.emb(prev), c], -1), h)
            a = torch.softmax((enc * h.unsqueeze(1)).sum(-1) / 8.0, -1)
            c = (a.unsqueeze(-1) * enc).sum(1)
            logits.append(self.out(torch.cat([h, c], -1)))
            prev = tgt[:, t]
        return torch.stack(logits, 1)


H = 64
enc, dec = Encoder(H), Decoder(H)
params = list(enc.parameters()) + list(dec.parameters())
opt = torch.optim.SGD(params, lr=0.55, momentum=0.9)
ACCUM, MICRO = 5, 16


def compute(idx):
    o, h = enc(S[idx])
    return F.cross_entropy(dec(o, h, T[idx]).flatten(0, 1), T[idx].flatten())


for update in range(150):
    opt.zero_grad()
    running = 0.0
    for _ in range(ACCUM):
        loss = compute(torch.randint(0, 3600, (MICRO,)))
        loss.backward()  # fix: (loss / ACCUM).backward()
        running += loss.item()
    opt.step()
    if update % 15 == 0:
        print(update, running / ACCUM)
with torch.no_grad():
    print("final loss", compute(torch.arange(3600, 4000)).item())
