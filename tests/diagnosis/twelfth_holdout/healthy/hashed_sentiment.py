"""Bag-of-ngrams sentiment with hashing embeddings."""
import random
import torch
import torch.nn as nn

random.seed(12)
torch.manual_seed(12)
POS, NEG, NEU = [f"p{i}" for i in range(30)], [f"n{i}" for i in range(30)], [f"w{i}" for i in range(200)]
BUCKETS = 4096


def h(s):
    v = 2166136261
    for c in s.encode():
        v = ((v ^ c) * 16777619) & 0xFFFFFFFF
    return v % BUCKETS


def text():
    y = random.randint(0, 1)
    k = random.randint(2, 4)
    toks = random.choices(POS if y else NEG, k=k) + random.choices(NEU, k=random.randint(3, 10))
    random.shuffle(toks)
    grams = toks + [a + "_" + b for a, b in zip(toks, toks[1:])]
    return [h(g) for g in grams], y


def pack(rows, flip=0.0):
    flat, offs, ys = [], [], []
    for ids, y in rows:
        offs.append(len(flat))
        flat += ids
        ys.append(1 - y if random.random() < flip else y)
    return torch.tensor(flat), torch.tensor(offs), torch.tensor(ys, dtype=torch.float)


class Bag(nn.Module):
    def __init__(self, d=16):
        super().__init__()
        self.e = nn.EmbeddingBag(BUCKETS, d, mode="mean", sparse=True)
        self.o = nn.Linear(d, 1)

    def forward(self, flat, offs):
        return self.o(self.e(flat, offs)).squeeze(1)


net = Bag()
o1 = torch.optim.SparseAdam(net.e.parameters(), lr=3e-2)
o2 = torch.optim.SGD(net.o.parameters(), lr=5e-2)
for i in range(600):
    f, o, y = pack([text() for _ in range(4)], flip=0.2)
    loss = nn.functional.binary_cross_entropy_with_logits(net(f, o), y)
    for op in (o1, o2):
        op.zero_grad()
    loss.backward()
    for op in (o1, o2):
        op.step()
    if i % 60 == 0:
        print(i, f"{loss.item():.4f}")
with torch.no_grad():
    f, o, y = pack([text() for _ in range(1000)])
    acc = ((net(f, o) > 0).float() == y).float().mean().item()
print(f"final clean accuracy {acc:.4f}")
