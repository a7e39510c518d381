"""Attention without the 1/sqrt(d), a large initialisation of queries and keys, and plain SGD with momentum.

Cause: attention-logits
Fails: the loss is not finite from step 55 on
First bad: step 54, backward, mm
"""

import torch
import torch.nn.functional as F
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.value = nn.Linear(width, width, bias=False)
        nn.init.normal_(self.query.weight, std=0.5)
        nn.init.normal_(self.key.weight, std=0.5)

    def forward(self, x):
        logits = self.query(x) @ self.key(x).transpose(-2, -1)  # fix: logits = self.query(x) @ self.key(x).transpose(-2, -1) / x.shape[-1]
        return x + logits.softmax(-1) @ self.value(x)


class Classifier(nn.Module):
    def __init__(self, vocabulary=30, width=48, layers=3):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.layers = nn.ModuleList([SelfAttention(width) for _ in range(layers)])
        self.head = nn.Linear(width, 2)

    def forward(self, ids):
        x = self.embed(ids)
        for layer in self.layers:
            x = layer(x)
        return self.head(x.mean(1))


torch.manual_seed(0)
model = Classifier()
optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
losses = []
for _ in range(200):
    ids = torch.randint(0, 30, (16, 20))
    label = ((ids == 3).sum(1) > (ids == 4).sum(1)).long()
    loss = F.cross_entropy(model(ids), label)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
