"""Next-word prediction over a Zipf vocabulary with averaged context embeddings.

Cause: stale-second-moment
Fails: the loss is not finite from step 666 on (with the fix: final loss 3.506)
"""
import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

VOCAB, CTX, DIM = 400, 4, 32
rs = np.random.RandomState(4)
freq = 1.0 / np.arange(1, VOCAB + 1) ** 0.9
freq /= freq.sum()
# every word belongs to one of ten topics; a text stays on a topic for a while
topic_of = rs.randint(0, 10, VOCAB)
by_topic = [np.where(topic_of == k)[0] for k in range(10)]


def text(n):
    out, k = [], 0
    for i in range(n):
        if i % 25 == 0:
            k = rs.randint(10)
        w = by_topic[k]
        out.append(rs.choice(w, p=freq[w] / freq[w].sum()))
    return torch.tensor(np.array(out))


train, test = text(20000), text(3000)


class CBOW(nn.Module):
    def __init__(self):
        super().__init__()
        self.inp = nn.Embedding(VOCAB, DIM)
        self.out = nn.Linear(DIM, VOCAB)

    def forward(self, c):
        return self.out(self.inp(c).mean(1))


def pick(data, i):
    return torch.stack([data[i + k] for k in range(CTX)], 1), data[i + CTX]


torch.manual_seed(4)
model = CBOW()
opt = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.05))  # fix: opt = torch.optim.Adam(model.parameters(), lr=5e-3, betas=(0.9, 0.999))
for step in range(800):
    c, w = pick(train, torch.randint(0, len(train) - CTX, (64,)))
    loss = F.cross_entropy(model(c), w)
    opt.zero_grad()
    loss.backward()
    opt.step()
    if step % 100 == 0:
        print("step", step, "loss", loss.item())
with torch.no_grad():
    c, w = pick(test, torch.arange(0, len(test) - CTX))
    print("final loss", F.cross_entropy(model(c), w).item())
