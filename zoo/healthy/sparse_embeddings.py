"""Sentiment of short reviews by a bag of sparse embeddings with a Zipf vocabulary; Adagrad, batches of 4."""

import torch
from torch import nn


class BagOfWords(nn.Module):
    def __init__(self, vocabulary, width):
        super().__init__()
        self.words = nn.EmbeddingBag(vocabulary, width, mode="mean", sparse=True)
        self.out = nn.Linear(width, 2)

    def forward(self, ids, offsets):
        return self.out(self.words(ids, offsets))


def reviews(count, vocabulary, polarity):
    ranks = torch.arange(1, vocabulary + 1, dtype=torch.float32)
    for _ in range(count):
        lengths = torch.randint(3, 15, (4,))
        ids = torch.multinomial(1 / ranks, int(lengths.sum()), replacement=True)
        offsets = torch.cat([torch.zeros(1, dtype=torch.long), lengths.cumsum(0)[:-1]])
        mood = torch.stack([part.sum() for part in polarity[ids].split(lengths.tolist())])
        yield ids, offsets, (mood > 0).long()


torch.manual_seed(2)
vocabulary = 2000
polarity = torch.randn(vocabulary)
model = BagOfWords(vocabulary, 24)
optimizer = torch.optim.Adagrad(model.parameters(), lr=0.3)
losses = []
for ids, offsets, labels in reviews(1200, vocabulary, polarity):
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(ids, offsets), labels)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-300:]) / 300)
