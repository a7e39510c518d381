"""Which of two halves of the Python manual does a window of words come from?  Counts into a ReLU layer, Adagrad.

Cause: dead-units
Fails: stays at 0.693
"""

import re
from collections import Counter
from pydoc_data import topics

import torch
from torch import nn

WINDOW = 12
torch.manual_seed(36)

keys = sorted(topics.topics)
left = re.findall(r"[a-z]+", " ".join(topics.topics[k] for k in keys[:30]).lower())[:6000]
right = re.findall(r"[a-z]+", " ".join(topics.topics[k] for k in keys[-30:]).lower())[:6000]
vocabulary = {w: i for i, (w, _) in enumerate(Counter(left + right).most_common(600))}


def windows(words, label):
    rows, labels = [], []
    for i in range(0, len(words) - WINDOW, WINDOW):
        counts = torch.zeros(len(vocabulary))
        for w in words[i : i + WINDOW]:
            if w in vocabulary:
                counts[vocabulary[w]] += 1
        rows.append(counts)
        labels.append(label)
    return rows, labels


a, la = windows(left, 0)
b, lb = windows(right, 1)
features, labels = torch.stack(a + b), torch.tensor(la + lb)


def lecun_uniform_(weight):
    bound = (3 / weight.shape[1]) ** 0.5
    return nn.init.uniform_(weight, -bound, 0)  # fix: return nn.init.uniform_(weight, -bound, bound)


class BagNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.hidden = nn.Linear(len(vocabulary), 64, bias=False)
        self.out = nn.Linear(64, 2)
        lecun_uniform_(self.hidden.weight)

    def forward(self, counts):
        return self.out(torch.relu(self.hidden(counts)))


net = BagNet()
optimizer = torch.optim.Adagrad(net.parameters(), lr=0.02)
history = []
for epoch in range(15):
    for rows in torch.randperm(len(labels)).split(50):
        loss = nn.functional.cross_entropy(net(features[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    print(epoch, round(history[-1], 4))
print("final loss", sum(history[-10:]) / 10)
