"""A bfloat16 word-free language model on English text: Nesterov SGD with a rate from another paper, no clipping.

Cause: learning-rate
Fails: the loss is not finite from step 3 on
First bad: step 3, forward, addmm
"""

from pydoc_data import topics

import torch
from torch import nn


class CharLM(nn.Module):
    def __init__(self, vocabulary, width=64):
        super().__init__()
        self.embed = nn.Embedding(vocabulary, width)
        self.rnn = nn.RNN(width, width, nonlinearity="relu", batch_first=True)
        self.out = nn.Linear(width, vocabulary)

    def forward(self, ids):
        states, _ = self.rnn(self.embed(ids))
        return self.out(states)


torch.manual_seed(0)
text = topics.topics["assignment"] + topics.topics["class"] + topics.topics["import"]
chars = sorted(set(text))
data = torch.tensor([chars.index(c) for c in text])
model = CharLM(len(chars))
optimizer = torch.optim.SGD(model.parameters(), lr=1.0, momentum=0.9, nesterov=True)  # fix: optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9, nesterov=True)
losses = []
for _ in range(250):
    starts = torch.randint(0, len(data) - 65, (16,))
    ids = torch.stack([data[s : s + 65] for s in starts.tolist()])
    loss = nn.functional.cross_entropy(model(ids[:, :-1]).flatten(0, 1), ids[:, 1:].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
