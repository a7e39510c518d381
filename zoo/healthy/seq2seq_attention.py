"""Reversing strings with an attentive encoder-decoder, teacher forcing and Adadelta."""

import torch
import torch.nn.functional as F
from torch import nn

VOCAB, START = 12, 0


class Encoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, hidden)
        self.gru = nn.GRU(hidden, hidden, batch_first=True)

    def forward(self, source):
        return self.gru(self.embed(source))


class Decoder(nn.Module):
    def __init__(self, hidden):
        super().__init__()
        self.embed = nn.Embedding(VOCAB, hidden)
        self.cell = nn.GRUCell(2 * hidden, hidden)
        self.out = nn.Linear(2 * hidden, VOCAB)

    def forward(self, token, state, memory):
        weights = torch.softmax(torch.einsum("bh,bth->bt", state, memory), 1)
        context = torch.einsum("bt,bth->bh", weights, memory)
        state = self.cell(torch.cat([self.embed(token), context], 1), state)
        return self.out(torch.cat([state, context], 1)), state


def batch_loss(encoder, decoder, length=7, size=32):
    source = torch.randint(1, VOCAB, (size, length))
    target = source.flip(1)
    memory, state = encoder(source)
    state = state.squeeze(0)
    token, loss = torch.full((size,), START), 0.0
    for t in range(length):
        logits, state = decoder(token, state, memory)
        loss = loss + F.cross_entropy(logits, target[:, t])
        token = target[:, t]
    return loss / length


torch.manual_seed(21)
encoder, decoder = Encoder(48), Decoder(48)
optimizer = torch.optim.Adadelta([*encoder.parameters(), *decoder.parameters()], lr=1.0)
losses = []
for _ in range(400):
    optimizer.zero_grad()
    loss = batch_loss(encoder, decoder)
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print("final loss", sum(losses[-20:]) / 20)
