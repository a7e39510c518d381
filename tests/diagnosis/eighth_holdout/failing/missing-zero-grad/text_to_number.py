"""Reads a price written in words ('seven hundred forty two') and regresses its value; accumulated micro-batches.

Cause: missing-zero-grad
Fails: the loss is not finite from micro-batch 76 on (step 38)
"""
import random

import torch
import torch.nn as nn

ONES = "zero one two three four five six seven eight nine".split()
TENS = "_ ten twenty thirty forty fifty sixty seventy eighty ninety".split()
VOCAB = {w: i + 1 for i, w in enumerate(["hundred", "and"] + ONES + TENS)}


def words(n):
    h, t, o = n // 100, n // 10 % 10, n % 10
    out = []
    if h:
        out += [ONES[h], "hundred"]
    if t:
        out += (["and"] if h and random.random() < 0.5 else []) + [TENS[t]]
    if o or not out:
        out.append(ONES[o])
    return out


def batch(bs):
    ns = [random.randrange(1000) for _ in range(bs)]
    x = torch.zeros(bs, 5, dtype=torch.long)
    for i, n in enumerate(ns):
        w = words(n)
        x[i, -len(w):] = torch.tensor([VOCAB[k] for k in w])
    return x, (torch.tensor(ns, dtype=torch.float32) - 500) / 290


class Reader(nn.Module):
    def __init__(self, d=48):
        super().__init__()
        self.emb = nn.Embedding(len(VOCAB) + 1, d, padding_idx=0)
        self.rnn = nn.LSTM(d, d, batch_first=True)
        self.out = nn.Sequential(nn.Linear(d, d), nn.ReLU(), nn.Linear(d, 1))

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0][:, -1]).squeeze(-1)


class Trainer:
    def __init__(self, model, lr=0.05, accumulate=2):
        self.model, self.accumulate = model, accumulate
        self.opt = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.9)
        self.micro = 0

    def training_step(self, x, y):
        loss = (self.model(x) - y).pow(2).mean()
        (loss / self.accumulate).backward()
        self.micro += 1
        if self.micro % self.accumulate == 0:
            self.opt.step()
            # fix: self.opt.zero_grad()
        return loss.item()


if __name__ == "__main__":
    random.seed(19)
    torch.manual_seed(19)
    tr = Trainer(Reader())
    hist = []
    for k in range(800):
        hist.append(tr.training_step(*batch(32)))
        if k % 100 == 0:
            print(k, hist[-1])
    print("final loss", sum(hist[-40:]) / 40)
