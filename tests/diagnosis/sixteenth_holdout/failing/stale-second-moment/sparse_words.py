"""Bag-of-words sentiment on invented reviews, embedding bag with Adam.

Cause: stale-second-moment, unsafe-op
Fails: rows of unused words have a gradient and second moment of exactly zero; with
eps = 0 the update is 0/0 and the loss is nan at the second step.
"""
import random
import torch
import torch.nn as nn

random.seed(9)
torch.manual_seed(9)
good = "lovely crisp brilliant warm charming superb tender witty".split()
bad = "dull soggy clumsy stale bitter tedious broken noisy".split()
fill = [f"w{i}" for i in range(400)]
vocab = {w: i for i, w in enumerate(good + bad + fill + ["<rare>", "<pad>"])}


def review():
    lab = random.random() < 0.5
    ws = [random.choice(good if random.random() < (0.8 if lab else 0.2) else bad) for _ in range(5)]
    ws += random.choices(fill, k=12)
    random.shuffle(ws)
    return [vocab[w] for w in ws], float(lab)


revs = [review() for _ in range(3000)]
X = torch.tensor([r[0] for r in revs])
Y = torch.tensor([r[1] for r in revs])


class Bag(nn.Module):
    def __init__(self):
        super().__init__()
        self.emb = nn.EmbeddingBag(len(vocab), 32, mode="mean")
        self.fc = nn.Sequential(nn.Linear(32, 32), nn.Tanh(), nn.Linear(32, 1))

    def forward(self, x):
        return self.fc(self.emb(x)).squeeze(-1)


model = Bag()
opt = torch.optim.Adam(model.parameters(), lr=4e-3, eps=0.0)  # fix: opt = torch.optim.Adam(model.parameters(), lr=4e-3, eps=1e-8)
lossf = nn.BCEWithLogitsLoss()
for ep in range(34):
    s = 0.0
    for b in torch.randperm(3000).split(50):
        loss = lossf(model(X[b]), Y[b])
        opt.zero_grad()
        loss.backward()
        opt.step()
        s += loss.item() / 60
    print(f"epoch {ep} bce {s:.4f}")
print(f"final loss {s:.5f}")
