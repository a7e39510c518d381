"""Encoder and decoder made of ReLU RNN cells that repeat a short signal backwards, Adam, teacher forcing.

Cause: recurrent-gain
Fails: the loss is not finite from step 0 on
First bad: step 0, forward, addmm
"""

import torch
from torch import nn

GAIN = 10.0  # fix: GAIN = 1.0


def make_cell(n_in, hidden):
    cell = nn.RNNCell(n_in, hidden, nonlinearity="relu")
    nn.init.orthogonal_(cell.weight_hh, gain=GAIN)
    return cell


class Seq2Seq(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.hidden = hidden
        self.encoder = make_cell(1, hidden)
        self.decoder = make_cell(1, hidden)
        self.readout = nn.Linear(hidden, 1)

    def forward(self, source, target):
        h = source.new_zeros(len(source), self.hidden)
        for t in range(source.shape[1]):
            h = self.encoder(source[:, t : t + 1], h)
        previous = torch.zeros_like(source[:, :1])
        outputs = []
        for t in range(target.shape[1]):
            h = self.decoder(previous, h)
            outputs.append(self.readout(h))
            previous = target[:, t : t + 1]
        return torch.cat(outputs, 1)


def batches(count, size, length):
    for _ in range(count):
        start = torch.rand(size, 1) * 6.28
        source = torch.sin(start + 0.4 * torch.arange(length)) * (0.5 + torch.rand(size, 1))
        yield source, source.flip(1)


torch.manual_seed(3)
model = Seq2Seq()
optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
curve = []
for source, target in batches(200, 32, 24):
    loss = nn.functional.l1_loss(model(source, target), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print("final loss", sum(curve[-10:]) / 10)
