"""A GRU character model on the Python licence; the cross-entropy is added up over all characters of a batch.

Cause: loss-scale
Fails: the loss is not finite from step 13 on
First bad: step 13, forward, addmm
"""

import site

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.manual_seed(3)
text = str(site.builtins.license) + (site.__doc__ or "") + (torch.nn.Module.__doc__ or "") * 2
text += (torch.optim.SGD.__doc__ or "") + (str.__doc__ or "")
alphabet = sorted(set(text))
codes = torch.tensor([alphabet.index(ch) for ch in text])

BATCH, LENGTH = 16, 40


class CharGRU(nn.Module):
    def __init__(self, n, width=48):
        super().__init__()
        self.embedding = nn.Embedding(n, width)
        self.gru = nn.GRU(width, width, batch_first=True)
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, n)

    def forward(self, ids):
        h, _ = self.gru(self.embedding(ids))
        return self.out(F.relu(self.hidden(h)))


def sample():
    starts = torch.randint(0, len(codes) - LENGTH - 1, (BATCH,)).tolist()
    block = torch.stack([codes[s : s + LENGTH + 1] for s in starts])
    return block[:, :-1], block[:, 1:]


model = CharGRU(len(alphabet))
optimizer = torch.optim.SGD(model.parameters(), lr=0.2, momentum=0.9)
scores = []
for step in range(200):
    inputs, labels = sample()
    logits = model(inputs).flatten(0, 1)
    loss = F.cross_entropy(logits, labels.flatten(), reduction="sum")  # fix: loss = F.cross_entropy(logits, labels.flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    scores.append(loss.item())
print("final loss", sum(scores[-10:]) / 10)
