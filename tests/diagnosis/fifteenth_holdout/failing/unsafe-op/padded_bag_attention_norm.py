"""Sentiment of template reviews from cosine attention over padded bags of word vectors.

Cause: unsafe-op
Fails: the length of a padding vector is zero, its norm has no gradient there and one backward pass makes everything nan
"""
import random

import torch
from torch import nn

random.seed(9)
torch.manual_seed(9)
GOOD = "lovely warm brilliant charming superb tender".split()
BAD = "dull awful clumsy tedious bleak shallow".split()
FILL = "the film was quite and also rather with a plot that felt in its last half hour".split()
VOCAB = ["<pad>"] + GOOD + BAD + FILL
IDX = {w: i for i, w in enumerate(VOCAB)}


def review():
    lab = random.randrange(2)
    words = random.choices(FILL, k=random.randint(4, 10))
    words += random.choices(GOOD if lab else BAD, k=2) + random.choices(BAD if lab else GOOD, k=random.randint(0, 1))
    random.shuffle(words)
    return words, lab


def collate(items):
    L = max(len(w) for w, _ in items)
    x = torch.zeros(len(items), L, dtype=torch.long)
    for r, (w, _) in enumerate(items):
        x[r, : len(w)] = torch.tensor([IDX[t] for t in w])
    return x, torch.tensor([float(l) for _, l in items])


class CosineBag(nn.Module):
    def __init__(self, d=24):
        super().__init__()
        self.emb = nn.Embedding(len(VOCAB), d)
        self.query = nn.Parameter(torch.randn(d))
        self.cls = nn.Linear(d, 1)

    def forward(self, x):
        e = self.emb(x) * (x != 0).unsqueeze(-1)
        length = e.norm(dim=-1)
        unit = e / (e.pow(2).sum(-1, keepdim=True).sqrt() + 1e-8)  # fix: unit = e / (e.pow(2).sum(-1, keepdim=True) + 1e-8).sqrt()
        score = 4 * unit @ self.query / self.query.norm()
        att = score.masked_fill(x == 0, -1e4).softmax(-1)
        return self.cls((att.unsqueeze(-1) * e).sum(1)).squeeze(-1), length.detach()


train = [review() for _ in range(1200)]
loader = torch.utils.data.DataLoader(train, batch_size=32, shuffle=True, collate_fn=collate)
model = CosineBag()
opt = torch.optim.AdamW(model.parameters(), lr=5e-3)
log = []
for epoch in range(8):
    for x, y in loader:
        logit, _ = model(x)
        loss = nn.functional.binary_cross_entropy_with_logits(logit, y)
        opt.zero_grad()
        loss.backward()
        opt.step()
        log.append(loss.item())
    print("epoch", epoch, sum(log[-38:]) / 38)
print("final loss", sum(log[-38:]) / 38)
