"""Seq2seq GRU translating number words of a toy language into reversed digit strings.

Cause: loss-scale
Fails: nll per token goes from 2.55 to hundreds within ten steps (summed loss peaks at 1.2e5, step 10) and ends near 402.
"""
import random

import torch
from torch import nn

PAD, BOS, EOS = 0, 1, 2
SRC = {w: i + 3 for i, w in enumerate("nul een twee drie vier vijf zes zeven acht negen".split())}
TGT = {str(d): d + 3 for d in range(10)}


def pair(rng):
    digits = [rng.randrange(10) for _ in range(rng.randint(3, 5))]
    names = list(SRC)
    src = [SRC[names[d]] for d in digits]
    tgt = [BOS] + [TGT[str(d)] for d in reversed(digits)] + [EOS]
    return src, tgt


def pad(seqs):
    width = max(map(len, seqs))
    return torch.tensor([s + [PAD] * (width - len(s)) for s in seqs])


class Encoder(nn.Module):
    def __init__(self, emb, hid):
        super().__init__()
        self.emb = nn.Embedding(13, emb, padding_idx=PAD)
        self.gru = nn.GRU(emb, hid, batch_first=True)

    def forward(self, s):
        return self.gru(self.emb(s))[1]


class Decoder(nn.Module):
    def __init__(self, emb, hid):
        super().__init__()
        self.emb = nn.Embedding(13, emb, padding_idx=PAD)
        self.gru = nn.GRU(emb, hid, batch_first=True)
        self.out = nn.Linear(hid, 13)

    def forward(self, t, h):
        o, _ = self.gru(self.emb(t), h)
        return self.out(o)


def main():
    rng = random.Random(8)
    torch.manual_seed(8)
    enc, dec = Encoder(24, 64), Decoder(24, 64)
    params = list(enc.parameters()) + list(dec.parameters())
    opt = torch.optim.SGD(params, lr=0.5, momentum=0.9)
    criterion = nn.CrossEntropyLoss(ignore_index=PAD, reduction="sum")  # fix: criterion = nn.CrossEntropyLoss(ignore_index=PAD, reduction="mean")
    tail = []
    for step in range(500):
        src, tgt = zip(*[pair(rng) for _ in range(32)])
        src, tgt = pad(src), pad(tgt)
        logits = dec(tgt[:, :-1], enc(src))
        gold = tgt[:, 1:]
        loss = criterion(logits.reshape(-1, 13), gold.reshape(-1))
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        with torch.no_grad():
            per_token = nn.functional.cross_entropy(logits.reshape(-1, 13), gold.reshape(-1), ignore_index=PAD)
        tail = (tail + [per_token.item()])[-50:]
        if step % 100 == 0:
            print("step", step, "nll per token", per_token.item())
    print("final loss", sum(tail) / len(tail))


main()
