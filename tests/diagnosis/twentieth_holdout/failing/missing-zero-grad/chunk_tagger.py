"""Tags words of synthetic sentences with noun/verb/modifier chunks using a bidirectional GRU and hand-made SGD loop.

Cause: missing-zero-grad
Fails: improves for a few steps, then swings ever wider above its start
"""
import random
import torch
import torch.nn as nn
import torch.nn.functional as F

random.seed(50)
torch.manual_seed(50)
D = [f"d{i}" for i in range(5)]
A = [f"a{i}" for i in range(40)]
N = [f"n{i}" for i in range(80)]
V = [f"v{i}" for i in range(40)]
AMB = [f"x{i}" for i in range(30)]  # noun after a determiner, verb otherwise
vocab = {w: i for i, w in enumerate(D + A + N + V + AMB)}


def noun_phrase():
    out = [(random.choice(D), 0)]
    for _ in range(random.choice([0, 0, 1, 2])):
        out.append((random.choice(A), 1))
    out.append((random.choice(AMB if random.random() < 0.4 else N), 2))
    return out


def sent():
    s = []
    while len(s) < 16:
        s += noun_phrase() + [(random.choice(AMB if random.random() < 0.4 else V), 3)]
    return s[:16]


corpus = [sent() for _ in range(1800)]
X = torch.tensor([[vocab[w] for w, _ in s] for s in corpus])
Y = torch.tensor([[t for _, t in s] for s in corpus])


class Tagger(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(vocab), 32)
        self.rnn = nn.GRU(32, 24, bidirectional=True, batch_first=True)
        self.out = nn.Linear(48, 4)

    def forward(self, x):
        return self.out(self.rnn(self.emb(x))[0])


model = Tagger()
velocity = [torch.zeros_like(p) for p in model.parameters()]
lr, mu = 0.1, 0.8
for it in range(400):
    rows = torch.randint(0, 1500, (32,))
    # fix: model.zero_grad()
    loss = F.cross_entropy(model(X[rows]).view(-1, 4), Y[rows].view(-1))
    loss.backward()
    with torch.no_grad():
        for p, v in zip(model.parameters(), velocity):
            v.mul_(mu).add_(p.grad)
            p.sub_(lr * v)
    if it % 40 == 0:
        print(it, loss.item())
with torch.no_grad():
    print("final loss", F.cross_entropy(model(X[1500:]).view(-1, 4), Y[1500:].view(-1)).item())
