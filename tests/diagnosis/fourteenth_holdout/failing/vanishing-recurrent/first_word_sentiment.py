"""A plain recurrent net reads letters in which the salutation alone decides on the tone; it answers at the end.

Cause: vanishing-recurrent
Fails: the loss stays at 1.40, where it began
"""

import torch
from torch import nn


class Letters:
    def __init__(self, length=30, words=12, seed=81):
        self.length, self.words = length, words
        self.g = torch.Generator().manual_seed(seed)

    def batch(self, size):
        text = torch.randint(4, self.words, (size, self.length), generator=self.g)
        tone = torch.randint(0, 4, (size,), generator=self.g)
        text[:, 0] = tone
        return text, tone


class Reader(nn.Module):
    def __init__(self, words=12, width=16, hidden=48):
        super().__init__()
        self.embedding = nn.Embedding(words, width)
        self.rnn = nn.RNN(width, hidden, batch_first=True)
        nn.init.normal_(self.rnn.weight_hh_l0, std=0.05)  # fix: nn.init.orthogonal_(self.rnn.weight_hh_l0)
        nn.init.uniform_(self.rnn.weight_ih_l0, -0.1, 0.1)
        self.out = nn.Linear(hidden, 4)

    def forward(self, text):
        _, last = self.rnn(self.embedding(text))
        return self.out(last[0])


torch.manual_seed(81)
letters, model = Letters(), Reader()
optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
losses = []
while len(losses) < 300:
    text, tone = letters.batch(32)
    optimizer.zero_grad()
    loss = nn.functional.cross_entropy(model(text), tone)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
    optimizer.step()
    losses.append(loss.item())
    if len(losses) % 50 == 1:
        print(len(losses), losses[-1])
print("final loss", sum(losses[-20:]) / 20)
