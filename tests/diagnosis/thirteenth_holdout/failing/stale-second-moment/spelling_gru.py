"""Spelling correction: the intended word from a misspelt one, character BiGRU over padded words.

Cause: stale-second-moment
Fails: the loss is not finite from step 1 on (with the fix: final loss 0.01944)
"""
import argparse
import random
import torch
from torch import nn

parser = argparse.ArgumentParser(description="spelling")
parser.add_argument("--lr", type=float, default=3e-3)
parser.add_argument("--eps", type=float, default=0.0)  # fix: parser.add_argument("--eps", type=float, default=1e-8)
parser.add_argument("--steps", type=int, default=300)
parser.add_argument("--seed", type=int, default=19)
opts = parser.parse_args([])

random.seed(opts.seed)
torch.manual_seed(opts.seed)
WORDS = ("because receive separate definitely believe weird friend beginning tomorrow necessary "
         "government environment calendar library february wednesday rhythm occurred address business").split()
LETTERS = "_abcdefghijklmnopqrstuvwxyz"


def corrupt(w):
    w = list(w)
    k = random.randrange(len(w))
    op = random.choice("dsit")
    if op == "d":
        del w[k]
    elif op == "s":
        w[k] = random.choice(LETTERS[1:])
    elif op == "i":
        w.insert(k, random.choice(LETTERS[1:]))
    elif k + 1 < len(w):
        w[k], w[k + 1] = w[k + 1], w[k]
    return "".join(w)


def make_batch(n):
    lab = [random.randrange(len(WORDS)) for _ in range(n)]
    txt = [corrupt(WORDS[l]) for l in lab]
    x = torch.tensor([[LETTERS.index(c) for c in t.ljust(14, "_")] for t in txt])
    return x, torch.tensor(lab)


class Speller(nn.Module):
    def __init__(self):
        super().__init__()
        self.chars = nn.Embedding(len(LETTERS), 16, padding_idx=0)
        self.gru = nn.GRU(16, 32, bidirectional=True, batch_first=True)
        self.cls = nn.Linear(64, len(WORDS))

    def forward(self, x):
        return self.cls(self.gru(self.chars(x))[0].max(1).values)


model = Speller()
optimizer = torch.optim.Adam(model.parameters(), lr=opts.lr, eps=opts.eps)
for step in range(1, opts.steps + 1):
    x, y = make_batch(40)
    loss = nn.functional.cross_entropy(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    if step % 50 == 0:
        print("step", step, "loss", loss.item())
print("final loss", loss.item())
