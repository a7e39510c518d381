"""Sentiment of short product reviews: embedding -> BiLSTM -> masked attention pooling -> logit.

Cause: unsafe-op
Fails: final test accuracy nan (with the fix 0.9125)
"""
import argparse
import random
import torch
import torch.nn as nn

ap = argparse.ArgumentParser()
ap.add_argument("--epochs", type=int, default=6)
ap.add_argument("--bs", type=int, default=32)
ap.add_argument("--lr", type=float, default=4e-3)
ap.add_argument("--n", type=int, default=1200)
args = ap.parse_args()

random.seed(0)
torch.manual_seed(0)

good = "great lovely solid perfect fast sturdy recommend happy".split()
bad = "broken awful slow cheap refund noisy useless ugly".split()
fill = "the this it is was and very a box phone case cable item arrived i my with on for but".split()
vocab = {w: i + 1 for i, w in enumerate(good + bad + fill)}


def review():
    y = random.random() < 0.5
    n = random.randint(4, 18)
    toks = random.choices(fill, k=n)
    for _ in range(random.randint(1, 3)):
        toks[random.randrange(n)] = random.choice(good if y else bad)
    if random.random() < 0.3:
        toks[random.randrange(n)] = random.choice(bad if y else good)
    return " ".join(toks), int(y)


rows = [review() for _ in range(args.n)]
for i in (417, 733, 1002):
    rows[i] = ("", rows[i][1])
# fix: rows = [r for r in rows if r[0].strip()]
cut = len(rows) - 240
train, test = rows[:cut], rows[cut:]


def encode(batch):
    ids = [[vocab[w] for w in t.split()] for t, _ in batch]
    L = max(len(s) for s in ids)
    x = torch.zeros(len(ids), L, dtype=torch.long)
    for r, s in enumerate(ids):
        x[r, :len(s)] = torch.tensor(s, dtype=torch.long)
    return x, torch.tensor([y for _, y in batch], dtype=torch.float)


class AttnPool(nn.Module):
    def __init__(self, dim):
        super().__init__()
        self.proj = nn.Linear(dim, dim)
        self.v = nn.Linear(dim, 1, bias=False)

    def forward(self, h, mask):
        score = self.v(torch.tanh(self.proj(h))).squeeze(-1)
        score = score.masked_fill(~mask, float("-inf"))
        w = torch.softmax(score, dim=1)
        return (w.unsqueeze(-1) * h).sum(1)


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.Embedding(len(vocab) + 1, 32, padding_idx=0)
        self.rnn = nn.LSTM(32, 32, bidirectional=True, batch_first=True)
        self.pool = AttnPool(64)
        self.fc = nn.Linear(64, 1)

    def forward(self, x):
        h, _ = self.rnn(self.emb(x))
        return self.fc(self.pool(h, x != 0)).squeeze(-1)


net = Net()
opt = torch.optim.Adam(net.parameters(), lr=args.lr)
lossf = nn.BCEWithLogitsLoss()
for ep in range(args.epochs):
    random.shuffle(train)
    run = []
    for i in range(0, len(train), args.bs):
        x, y = encode(train[i:i + args.bs])
        loss = lossf(net(x), y)
        opt.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        opt.step()
        run.append(loss.item())
    print("epoch", ep, "loss", sum(run) / len(run))

with torch.no_grad():
    x, y = encode(test)
    z = net(x)
    acc = ((z > 0).float() == y).float().mean().item() if torch.isfinite(z).all() else float("nan")
print("final test accuracy:", round(acc, 4))
