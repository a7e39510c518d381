"""A siamese GRU learns which misspelt first names belong together with a contrastive loss on Euclidean distance.

Cause: unsafe-op
Fails: a pair whose two spellings are equal has distance zero, the root's derivative there is inf and the weights become nan
"""
import random

import torch
from torch import nn
from torch.nn.utils.rnn import pack_sequence

random.seed(13)
torch.manual_seed(13)
NAMES = "alice benjamin charlotte daniel eleanor frederick gabriela harold isabel jonathan katherine leonard margaret nathaniel olivia patrick rosalind samuel theodora victor".split()


def typo(name):
    k = random.randrange(len(name))
    what = random.random()
    if what < 0.45:
        return name[:k] + random.choice("abcdefghijklmnopqrstuvwxyz") + name[k + 1 :]
    if what < 0.8 or k == 0:
        return name[:k] + name[k + 1 :]
    return name[: k - 1] + name[k] + name[k - 1] + name[k + 1 :]


def enc(s):
    return torch.tensor([ord(c) - 97 for c in s])


class Tower(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(26, 16)
        self.gru = nn.GRU(16, 40)

    def forward(self, strings):
        packed = pack_sequence([enc(s) for s in strings], enforce_sorted=False)
        emb = packed._replace(data=self.emb(packed.data))
        return self.gru(emb)[1][0]


def distance(u, v):
    sq = ((u - v) ** 2).sum(-1)
    return sq.sqrt()  # fix: return (sq + 1e-6).sqrt()


net = Tower()
opt = torch.optim.RMSprop(net.parameters(), lr=2e-3)
running = []
for step in range(220):
    a, b, same = [], [], []
    for _ in range(20):
        n = random.choice(NAMES)
        if random.random() < 0.5:
            m, lab = n, 1.0
        else:
            m, lab = random.choice([x for x in NAMES if x != n]), 0.0
        a.append(typo(n))
        b.append(typo(m))
        same.append(lab)
    d = distance(net(a), net(b))
    lab = torch.tensor(same)
    loss = (lab * d ** 2 + (1 - lab) * torch.relu(2.0 - d) ** 2).mean()
    opt.zero_grad()
    loss.backward()
    opt.step()
    running.append(loss.item())
print("first loss", running[0])
print("final loss", sum(running[-30:]) / 30)
