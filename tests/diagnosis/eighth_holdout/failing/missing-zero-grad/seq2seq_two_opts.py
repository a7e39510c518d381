"""Encoder-decoder GRU reversing digit strings, separate optimizers for the two halves.

Cause: missing-zero-grad
Fails: the loss starts at 2.3 and ends at 2.51e+04 (with the fix 0.12)
"""
import random

import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(2)
torch.manual_seed(2)
SOS, NSYM, LEN = 10, 11, 5


class Encoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb, self.rnn = nn.Embedding(NSYM, 32), nn.GRU(32, h, batch_first=True)

    def forward(self, x):
        return self.rnn(self.emb(x))[1]


class Decoder(nn.Module):
    def __init__(self, h):
        super().__init__()
        self.emb, self.rnn, self.out = nn.Embedding(NSYM, 32), nn.GRU(32, h, batch_first=True), nn.Linear(h, 10)

    def forward(self, y_in, state):
        o, _ = self.rnn(self.emb(y_in), state)
        return self.out(o)


enc, dec = Encoder(96), Decoder(96)
enc_opt = torch.optim.SGD(enc.parameters(), lr=0.3, momentum=0.9)
dec_opt = torch.optim.SGD(dec.parameters(), lr=0.3, momentum=0.9)


def train_step(src):
    tgt = src.flip(1)
    y_in = torch.cat([torch.full((len(src), 1), SOS), tgt[:, :-1]], 1)
    enc_opt.zero_grad()
    # fix: dec_opt.zero_grad()
    logits = dec(y_in, enc(src))
    loss = F.cross_entropy(logits.flatten(0, 1), tgt.flatten())
    loss.backward()
    enc_opt.step()
    dec_opt.step()
    return loss.item()


losses = []
for it in range(500):
    losses.append(train_step(torch.randint(0, 10, (64, LEN))))
    if it % 100 == 0:
        print("it", it, "loss", losses[-1])
print("final loss", sum(losses[-20:]) / 20)
