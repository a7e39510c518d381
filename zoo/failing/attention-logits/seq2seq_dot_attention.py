"""Sequence to sequence with a GRU decoder and dot-product attention on convolutional encodings: sort ten numbers.

Cause: attention-logits
Fails: the loss rises from 1.1 to 1e2 and is not finite from step 43 on
First bad: step 43, loss, mse_loss
"""

import torch
import torch.nn as nn


class Encoder(nn.Module):
    def __init__(self, width):
        super().__init__()
        self.conv = nn.Sequential(nn.Conv1d(1, width, 1), nn.ReLU(), nn.Conv1d(width, width, 1))

    def forward(self, x):
        return self.conv(x.unsqueeze(1)).transpose(1, 2)


class Decoder(nn.Module):
    def __init__(self, width, state):
        super().__init__()
        self.cell = nn.GRUCell(width, state)
        self.query = nn.Linear(state, width)
        self.answer = nn.Linear(width + state, 1)
        self.state = state

    def forward(self, memory, steps):
        h = memory.new_zeros(len(memory), self.state)
        context = memory.mean(1)
        answers = []
        for _ in range(steps):
            h = self.cell(context, h)
            energy = torch.einsum("bd,btd->bt", self.query(h), memory)  # fix: energy = torch.einsum("bd,btd->bt", self.query(h), memory) / 256
            context = torch.einsum("bt,btd->bd", energy.softmax(-1), memory)
            answers.append(self.answer(torch.cat([context, h], -1)))
        return torch.cat(answers, 1)


WIDTH, COUNT = 256, 8
torch.manual_seed(15)
encoder, decoder = Encoder(WIDTH), Decoder(WIDTH, 48)
nn.init.normal_(decoder.query.weight, std=1.0)
parameters = list(encoder.parameters()) + list(decoder.parameters())
optimizer = torch.optim.SGD(parameters, lr=0.005, momentum=0.9, nesterov=True)
curve = []
for step in range(200):
    numbers = torch.randn(32, COUNT)
    loss = nn.functional.mse_loss(decoder(encoder(numbers), COUNT), numbers.sort(1).values)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print("final loss", sum(curve[-10:]) / 10)
