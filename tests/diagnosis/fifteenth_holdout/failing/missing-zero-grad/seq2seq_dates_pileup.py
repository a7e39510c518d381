"""A GRU encoder-decoder with teacher forcing rewrites dates such as 'march 4 1987' as '1987-03-04'.

Cause: missing-zero-grad
Fails: each batch adds its gradient to those of all batches before, the updates gather mass and the loss swings up
"""
import random

import torch
from torch import nn

MONTHS = "january february march april may june july august september october november december".split()


class Vocab:
    def __init__(self, text):
        self.itos = ["_", "^", "$"] + sorted(set(text))
        self.stoi = {c: i for i, c in enumerate(self.itos)}

    def __call__(self, s):
        return [self.stoi[c] for c in s]


SRC = Vocab("".join(MONTHS) + " 0123456789")
TGT = Vocab("-0123456789")


def example(rng):
    y, m, d = rng.randint(1900, 2050), rng.randint(1, 12), rng.randint(1, 28)
    return f"{MONTHS[m - 1]} {d} {y}", f"{y}-{m:02d}-{d:02d}"


class Seq2Seq(nn.Module):
    def __init__(self, h=80):
        super().__init__()
        self.es, self.et = nn.Embedding(len(SRC.itos), 32), nn.Embedding(len(TGT.itos), 32)
        self.enc, self.dec = nn.GRU(32, h, batch_first=True), nn.GRU(32, h, batch_first=True)
        self.out = nn.Linear(h, len(TGT.itos))

    def forward(self, s, t_in):
        _, h = self.enc(self.es(s))
        return self.out(self.dec(self.et(t_in), h)[0])


class Trainer:
    def __init__(self, model, lr):
        self.model = model
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.losses = []
        self.rng = random.Random(3)

    def make_batch(self, n=32):
        pairs = [example(self.rng) for _ in range(n)]
        L = max(len(s) for s, _ in pairs)
        s = torch.tensor([[0] * (L - len(a)) + SRC(a) for a, _ in pairs])
        t = torch.tensor([[1] + TGT(b) + [2] for _, b in pairs])
        return s, t

    def step(self):
        s, t = self.make_batch()
        # fix: self.opt.zero_grad()
        logits = self.model(s, t[:, :-1])
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), t[:, 1:].flatten())
        loss.backward()
        self.opt.step()
        self.losses.append(loss.item())

    def fit(self, steps):
        for k in range(steps):
            self.step()
            if k % 60 == 0:
                print(k, self.losses[-1])


torch.manual_seed(3)
tr = Trainer(Seq2Seq(), lr=0.2)
tr.fit(420)
print("final loss", sum(tr.losses[-20:]) / 20)
