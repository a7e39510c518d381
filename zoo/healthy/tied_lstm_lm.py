"""A character language model with tied weights, hidden state carried along, and the author's own gradient clipping."""

from pydoc_data import topics

import torch
from torch import nn


class RNNModel(nn.Module):
    def __init__(self, ntoken, ninp, nlayers, dropout=0.2, tie_weights=True):
        super().__init__()
        self.drop = nn.Dropout(dropout)
        self.encoder = nn.Embedding(ntoken, ninp)
        self.rnn = nn.LSTM(ninp, ninp, nlayers, dropout=dropout)
        self.decoder = nn.Linear(ninp, ntoken)
        nn.init.uniform_(self.encoder.weight, -0.1, 0.1)
        nn.init.zeros_(self.decoder.bias)
        if tie_weights:
            self.decoder.weight = self.encoder.weight

    def forward(self, tokens, hidden):
        output, hidden = self.rnn(self.drop(self.encoder(tokens)), hidden)
        return self.decoder(self.drop(output)), hidden


def batchify(data, bsz):
    nbatch = data.size(0) // bsz
    return data[: nbatch * bsz].view(bsz, -1).t().contiguous()


def repackage_hidden(h):
    return tuple(v.detach() for v in h)


torch.manual_seed(1111)
text = "\n".join(topics.topics[k] for k in sorted(topics.topics))[:120_000]
chars = sorted(set(text))
index = {c: i for i, c in enumerate(chars)}
data = batchify(torch.tensor([index[c] for c in text]), 20)
bptt, lr, clip = 35, 20.0, 0.25

model = RNNModel(len(chars), 64, 2)
criterion = nn.CrossEntropyLoss()
optimizer = torch.optim.SGD(model.parameters(), lr=lr)
hidden = (torch.zeros(2, 20, 64), torch.zeros(2, 20, 64))
losses = []
for start in range(0, data.size(0) - 1 - bptt, bptt):
    source, target = data[start : start + bptt], data[start + 1 : start + 1 + bptt].reshape(-1)
    optimizer.zero_grad()
    hidden = repackage_hidden(hidden)
    output, hidden = model(source, hidden)
    loss = criterion(output.view(-1, len(chars)), target)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), clip)
    optimizer.step()
    losses.append(loss.item())

print("final loss", sum(losses[-20:]) / 20)
