"""Pairs of sentences (as bags of word vectors) are embedded; a contrastive loss on their Euclidean distance.

Cause: unsafe-op
Fails: good for 90 steps, then NaN
"""

import torch
from torch import nn


class SentenceEncoder(nn.Module):
    def __init__(self, words=70, width=24):
        super().__init__()
        self.bag = nn.EmbeddingBag(words, width, mode="mean")
        self.project = nn.Sequential(nn.Linear(width, 32), nn.ReLU(), nn.Linear(32, 8))

    def forward(self, words):
        return self.project(self.bag(words))


def distance(a, b):
    return (a - b).square().sum(-1).sqrt()  # fix: return ((a - b).square().sum(-1) + 1e-8).sqrt()


def pairs(count, step):
    topic = torch.randint(0, 7, (count, 2))
    topic[: count // 2, 1] = topic[: count // 2, 0]
    words = topic.unsqueeze(-1) * 10 + torch.randint(0, 10, (count, 2, 8))
    if step % 90 == 89:
        words[0, 1] = words[0, 0]
    return words[:, 0], words[:, 1], (topic[:, 0] == topic[:, 1]).float()


torch.manual_seed(61)
encoder = SentenceEncoder()
optimizer = torch.optim.Adam(
    [{"params": encoder.bag.parameters(), "lr": 1e-2}, {"params": encoder.project.parameters(), "lr": 2e-3}]
)
losses = []
for step in range(360):
    first, second, same = pairs(32, step)
    d = distance(encoder(first), encoder(second))
    loss = (same * d.square() + (1 - same) * torch.relu(1 - d).square()).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 45 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
