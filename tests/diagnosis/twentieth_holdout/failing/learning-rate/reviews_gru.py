"""Sentiment of synthetic product reviews with packed bidirectional GRU and a warm-up schedule.

Cause: learning-rate
Fails: learns at first, then jumps back up and ends stuck at log 2
"""
import random
import torch
import torch.nn as nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_sequence
from torch.utils.data import DataLoader

random.seed(8)
torch.manual_seed(8)

GOOD = "great love sturdy quick lovely recommend solid happy".split()
BAD = "broken slow refund awful noisy cheap useless angry".split()
FILL = "the item arrived on a monday and it was in box with my order from shop for kitchen we used".split()
NEG = ["not", "never"]
vocab = {w: i + 1 for i, w in enumerate(GOOD + BAD + FILL + NEG)}


def review():
    label = random.randint(0, 1)
    toks = random.choices(FILL, k=random.randint(6, 24))
    for _ in range(random.randint(1, 3)):
        at = random.randrange(len(toks))
        if random.random() < 0.35:
            toks[at:at] = [random.choice(NEG), random.choice(BAD if label else GOOD)]
        else:
            toks.insert(at, random.choice(GOOD if label else BAD))
    return torch.tensor([vocab[t] for t in toks]), label


def collate(items):
    items.sort(key=lambda it: -len(it[0]))
    return pad_sequence([i[0] for i in items], batch_first=True), torch.tensor([len(i[0]) for i in items]), torch.tensor([float(i[1]) for i in items])


class Sentiment(nn.Module):
    def __init__(self, n):
        super().__init__()
        self.emb = nn.Embedding(n + 1, 32, padding_idx=0)
        self.gru = nn.GRU(32, 32, bidirectional=True, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(64, 64), nn.ReLU(), nn.Linear(64, 1))

    def forward(self, x, lens):
        _, h = self.gru(pack_padded_sequence(self.emb(x), lens, batch_first=True))
        return self.mlp(torch.cat([h[0], h[1]], 1)).squeeze(1)


train = [review() for _ in range(3200)]
valid = [review() for _ in range(600)]
loader = DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
model = Sentiment(len(vocab))
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
warmup = 30
sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: (s + 1) ** 2 / warmup ** 2)  # fix: sched = torch.optim.lr_scheduler.LambdaLR(opt, lambda s: min(1.0, (s + 1) ** 2 / warmup ** 2))
bce = nn.BCEWithLogitsLoss()
n = 0
for epoch in range(5):
    for x, l, y in loader:
        opt.zero_grad()
        loss = bce(model(x, l), y)
        loss.backward()
        opt.step()
        sched.step()
        if n % 40 == 0:
            print(n, loss.item())
        n += 1
with torch.no_grad():
    x, l, y = collate(valid)
    print("final loss", bce(model(x, l), y).item())
