"""Trains the tutorial's character RNN name classifier with a hand-written SGD update on generated names.

Cause: missing-zero-grad
Fails: the loss swings with growing amplitude and ends far above its start
"""
import random
import string
import torch
import torch.nn as nn

torch.manual_seed(8)
torch.set_num_threads(1)
random.seed(8)
letters = string.ascii_lowercase
SUF = {"Russian": ["ov", "sky", "in"], "Italian": ["ini", "etti", "ano"], "Greek": ["opoulos", "akis", "idis"], "Dutch": ["stra", "huis", "veld"]}
CATS = list(SUF)


def name(cat):
    return "".join(random.choice("bcdfghklmnprst") + random.choice("aeiou") for _ in range(random.randint(1, 3))) + random.choice(SUF[cat])


def to_tensor(names):
    L = max(map(len, names))
    x = torch.zeros(L, len(names), len(letters))
    for j, s in enumerate(names):
        for i, c in enumerate(s):
            x[L - len(s) + i, j, letters.index(c)] = 1
    return x


class RNN(nn.Module):
    def __init__(self, n_in, n_h, n_out):
        super().__init__()
        self.n_h = n_h
        self.i2h, self.h2h, self.h2o = nn.Linear(n_in, n_h), nn.Linear(n_h, n_h), nn.Linear(n_h, n_out)

    def forward(self, x):
        h = torch.zeros(x.size(1), self.n_h)
        for t in range(x.size(0)):
            h = torch.tanh(self.i2h(x[t]) + self.h2h(h))
        return torch.log_softmax(self.h2o(h), 1)


rnn = RNN(len(letters), 64, len(CATS))
criterion = nn.NLLLoss()
learning_rate = 0.1


def batch(n):
    c = [random.randrange(len(CATS)) for _ in range(n)]
    return to_tensor([name(CATS[k]) for k in c]), torch.tensor(c)


def train(x, y):
    loss = criterion(rnn(x), y)
    # fix: rnn.zero_grad()
    loss.backward()
    with torch.no_grad():
        for p in rnn.parameters():
            p.add_(p.grad, alpha=-learning_rate)
    return loss.item()


for it in range(600):
    loss = train(*batch(16))
    if it % 60 == 0:
        print("iter", it, "loss", round(loss, 4))
with torch.no_grad():
    x, y = batch(300)
    print("final loss", criterion(rnn(x), y).item())
