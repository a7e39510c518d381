"""Sentiment of sentences of 3 to 90 words, one sentence a step, read by a GRU."""
import random

import torch
import torch.nn as nn

random.seed(3)
torch.manual_seed(3)
GOOD, BAD, NEUTRAL = range(0, 15), range(15, 30), range(30, 100)


def sentence():
    label = random.random() < 0.5
    n = int(3 + 87 * random.random() ** 3)
    words = [random.choice(NEUTRAL) for _ in range(n)]
    for _ in range(max(1, n // 6)):
        words[random.randrange(n)] = random.choice(GOOD if label else BAD)
    return torch.tensor(words), torch.tensor(float(label))


class Sentiment(nn.Module):
    def __init__(self):
        super().__init__()
        self.e = nn.Embedding(100, 16)
        self.g = nn.GRU(16, 24)
        self.o = nn.Linear(24, 1)

    def forward(self, w):
        h, _ = self.g(self.e(w).unsqueeze(1))
        return self.o(h.mean(0)).squeeze()


model = Sentiment()
opt = torch.optim.Adam(model.parameters(), lr=2e-3)
losses = []
for i in range(1500):
    w, y = sentence()
    loss = nn.functional.binary_cross_entropy_with_logits(model(w), y)
    opt.zero_grad()
    loss.backward()
    nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    opt.step()
    losses.append(loss.item())
print("final loss", sum(losses[-200:]) / 200)
