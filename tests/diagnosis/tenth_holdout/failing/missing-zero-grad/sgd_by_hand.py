"""Bidirectional GRU sentiment model over padded reviews with a hand written parameter update (course notebook).

Cause: missing-zero-grad
Fails: the loss rises from 0.71 to 113 and ends at 65
"""
import random
import torch
import torch.nn as nn

random.seed(92)
torch.manual_seed(92)
POS = "great superb lovely fun warm brilliant charming".split()
NEG = "dull awful boring weak cold messy painful".split()
FILL = "the a film plot actor scene was is and of with very quite music camera story end it this that".split()
NOT = "not"
vocab = {w: i + 1 for i, w in enumerate(POS + NEG + FILL + [NOT])}


def review():
    score, words = 0, []
    while len(words) < random.randint(8, 22):
        r = random.random()
        if r < 0.25:
            p = random.random() < 0.5
            w = random.choice(POS if p else NEG)
            s = 1 if p else -1
            if random.random() < 0.3:
                words.append(NOT)
                s = -s
            words.append(w)
            score += s
        else:
            words.append(random.choice(FILL))
    return words, score


def dataset(n):
    out = []
    while len(out) < n:
        w, s = review()
        if s != 0:
            out.append(([vocab[x] for x in w], float(s > 0)))
    return out


def collate(rows):
    m = max(len(r[0]) for r in rows)
    return torch.tensor([[0] * (m - len(r[0])) + r[0] for r in rows]), torch.tensor([r[1] for r in rows])


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = nn.Embedding(len(vocab) + 1, 32, padding_idx=0)
        self.gru = nn.GRU(32, 48, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(96, 1)

    def forward(self, x):
        _, h = self.gru(self.embedding(x))
        return self.fc(torch.cat([h[0], h[1]], 1)).squeeze(1)


def sgd_update(params, lr):
    with torch.no_grad():
        for p in params:
            p -= lr * p.grad
            # fix: p.grad = None


train = dataset(2400)
model = Sentiment()
criterion = nn.BCEWithLogitsLoss()
losses = []
for epoch in range(6):
    random.shuffle(train)
    for k in range(0, len(train), 32):
        x, y = collate(train[k:k + 32])
        loss = criterion(model(x), y)
        loss.backward()
        sgd_update(model.parameters(), lr=0.5)
        losses.append(loss.item())
    print(f"epoch {epoch} loss {sum(losses[-75:]) / 75:.4f}")
print("final loss", sum(losses[-75:]) / 75)
