"""Word vectors from co-occurrence: a word's dot product with its neighbours should exceed that with random words.

Cause: weight-growth
Fails: the weights grow without end and the loss falls to -8e8
"""

import torch
from torch import nn

torch.manual_seed(97)
WORDS, TOPICS, WIDTH = 200, 10, 16


class SkipGram(nn.Module):
    def __init__(self):
        super().__init__()
        self.word = nn.Embedding(WORDS, WIDTH, sparse=True)
        self.context = nn.Embedding(WORDS, WIDTH, sparse=True)
        nn.init.normal_(self.word.weight, std=0.3)
        nn.init.normal_(self.context.weight, std=0.3)

    def forward(self, word, near, random):
        w = self.word(word)
        return (w * self.context(near)).sum(-1), (w * self.context(random)).sum(-1)


def neighbours(count):
    topic = torch.randint(0, TOPICS, (count,))
    per = WORDS // TOPICS
    draw = lambda: topic * per + torch.randint(0, per, (count,))
    return draw(), draw(), torch.randint(0, WORDS, (count,))


model = SkipGram()
optimizer = torch.optim.SGD(model.parameters(), lr=2.0)
losses = []
for step in range(1200):
    good, bad = model(*neighbours(64))
    loss = (bad - good).mean()  # fix: loss = torch.relu(1 + bad - good).mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step % 150 == 0:
        print(step, losses[-1])
print("final loss", sum(losses[-20:]) / 20)
