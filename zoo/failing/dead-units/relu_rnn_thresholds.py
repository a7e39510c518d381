"""A recurrent net of ReLU units with firing thresholds tells rising from falling noisy sequences.

Cause: dead-units
Fails: stays at 0.693
"""

import torch
from torch import nn


class SpikingLikeCell(nn.Module):
    """Units fire above a threshold; thresholds are learned together with the weights."""

    def __init__(self, inputs, units, threshold):
        super().__init__()
        self.inp = nn.Linear(inputs, units, bias=False)
        self.rec = nn.Linear(units, units, bias=False)
        nn.init.orthogonal_(self.rec.weight, gain=0.7)
        self.threshold = nn.Parameter(torch.full((units,), threshold))

    def forward(self, x, state):
        return torch.relu(self.inp(x) + self.rec(state) - self.threshold)


class Net(nn.Module):
    def __init__(self, units=32):
        super().__init__()
        threshold = 5.0  # fix: threshold = 0.0
        self.cell = SpikingLikeCell(2, units, threshold)
        self.units = units
        self.out = nn.Linear(units, 1)

    def forward(self, x):
        state = x.new_zeros(len(x), self.units)
        for t in range(x.shape[1]):
            state = self.cell(x[:, t], state)
        return self.out(state).squeeze(1)


def sequences(count=40, length=12):
    label = torch.randint(0, 2, (count,)).float()
    ramp = torch.linspace(-1, 1, length) * (2 * label - 1)[:, None]
    x = ramp + 0.5 * torch.randn(count, length)
    return torch.stack([x, -x], 2), label


def train(net, optimizer, steps):
    for _ in range(steps):
        x, label = sequences()
        loss = nn.functional.binary_cross_entropy_with_logits(net(x), label)
        net.zero_grad(set_to_none=False)
        loss.backward()
        optimizer.step()
        yield loss.item()


torch.manual_seed(61)
net = Net()
optimizer = torch.optim.NAdam(net.parameters(), lr=3e-3)
losses = list(train(net, optimizer, 250))
print("start", losses[0])
print("final loss", sum(losses[-10:]) / 10)
