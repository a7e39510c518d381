"""A recurrent cell written by hand (identity start, ReLU) adding two marked numbers; SGD with a small rate."""

import torch
from torch import nn


class IRNN(nn.Module):
    def __init__(self, hidden=40):
        super().__init__()
        self.w_in = nn.Parameter(0.05 * torch.randn(2, hidden))
        self.w_rec = nn.Parameter(torch.eye(hidden))
        self.bias = nn.Parameter(torch.zeros(hidden))
        self.read = nn.Linear(hidden, 1)

    def forward(self, sequence):
        h = sequence.new_zeros(sequence.shape[0], self.bias.numel())
        for x in sequence.unbind(1):
            h = torch.relu(x @ self.w_in + h @ self.w_rec + self.bias)
        return self.read(h).squeeze(1)


def adding_problem(batch, time):
    values, marks = torch.rand(batch, time), torch.zeros(batch, time)
    for row in range(batch):
        marks[row, torch.randperm(time)[:2]] = 1
    return torch.stack([values, marks], 2), (values * marks).sum(1)


torch.manual_seed(3)
model = IRNN()
optimizer = torch.optim.SGD(model.parameters(), lr=2e-3)
curve = []
for _ in range(400):
    sequence, total = adding_problem(32, 30)
    loss = (model(sequence) - total).square().mean()
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    curve.append(loss.item())
print("final loss", sum(curve[-40:]) / 40)
