"""A one-block encoder that translates sentences of a toy language, word order reversed.

Cause: attention-logits
Fails: stuck near log(24): the loss is still 3.09 at the end
"""
import math

import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, LEN, D, HEADS = 24, 16, 64, 2


class SelfAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.q, self.k, self.v, self.o = (nn.Linear(D, D) for _ in range(4))
        for m in (self.q, self.k):
            nn.init.normal_(m.weight, 0.0, 30.0)  # fix: nn.init.normal_(m.weight, 0.0, 0.06)

    def forward(self, x):
        b, t, _ = x.shape
        split = lambda y: y.view(b, t, HEADS, D // HEADS).transpose(1, 2)
        q, k, v = split(self.q(x)), split(self.k(x)), split(self.v(x))
        dh = D // HEADS
        att = q @ k.transpose(-2, -1) * dh ** -0.5
        y = att.softmax(-1) @ v
        return self.o(y.transpose(1, 2).reshape(b, t, D))


class Translator(nn.Module):
    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(VOCAB, D)
        self.place = nn.Embedding(LEN, D)
        self.n1 = nn.LayerNorm(D)
        self.att = SelfAttention()
        self.n2 = nn.LayerNorm(D)
        self.ff = nn.Sequential(nn.Linear(D, 2 * D), nn.GELU(), nn.Linear(2 * D, D))
        self.out = nn.Linear(D, VOCAB)

    def forward(self, s):
        x = self.words(s) + self.place(torch.arange(LEN))
        x = x + self.att(self.n1(x))
        x = x + self.ff(self.n2(x))
        return self.out(x)


def train(steps=600, batch=32):
    torch.manual_seed(6)
    table = torch.randperm(VOCAB)
    model = Translator()
    opt = torch.optim.Adam(model.parameters(), lr=2e-3, betas=(0.9, 0.98))
    warm = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) / 60))
    losses = []
    for _ in range(steps):
        src = torch.randint(0, VOCAB, (batch, LEN))
        tgt = table[src].flip(1)
        loss = F.cross_entropy(model(src).flatten(0, 1), tgt.flatten())
        opt.zero_grad()
        loss.backward()
        opt.step()
        warm.step()
        losses.append(loss.item())
    return sum(losses[-20:]) / 20


if __name__ == "__main__":
    print("final loss", train())
