"""A hand-written recurrent cell with rectified units follows a year of weekly weather and predicts the next value.

Cause: recurrent-gain
Fails: a first loss of 7e18, NaN from step 2 on
"""

import torch
from torch import nn


class RectifiedCell(nn.Module):
    def __init__(self, inputs, hidden):
        super().__init__()
        self.inward = nn.Linear(inputs, hidden)
        self.recurrent = nn.Parameter(torch.empty(hidden, hidden))
        nn.init.eye_(self.recurrent)
        self.recurrent.data.mul_(1.6)  # fix: self.recurrent.data.mul_(0.8)

    def forward(self, x, h):
        return torch.relu(self.inward(x) + h @ self.recurrent)


class WeatherNet(nn.Module):
    def __init__(self, hidden=32):
        super().__init__()
        self.hidden = hidden
        self.cell = RectifiedCell(2, hidden)
        self.out = nn.Linear(hidden, 1)

    def forward(self, x):
        h = x.new_zeros(len(x), self.hidden)
        answers = []
        for t in range(x.shape[1]):
            h = self.cell(x[:, t], h)
            answers.append(self.out(h))
        return torch.cat(answers, 1)


def seasons(count, weeks=53):
    t = torch.arange(float(weeks))
    phase = 6.28 * torch.rand(count, 1)
    slow = torch.zeros(count, weeks)
    for w in range(1, weeks):
        slow[:, w] = 0.9 * slow[:, w - 1] + 0.3 * torch.randn(count)
    temperature = torch.sin(6.28 * t / 26 + phase) + slow
    return torch.stack([temperature, torch.cos(6.28 * t / 26 + phase)], -1)


def main(steps=200):
    torch.manual_seed(35)
    model = WeatherNet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    losses = []
    for step in range(steps):
        batch = seasons(16)
        loss = nn.functional.mse_loss(model(batch[:, :-1]), batch[:, 1:, 0])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 25 == 0:
            print(f"{step} {loss.item():.4g}")
    print("final loss", sum(losses[-20:]) / 20)


main()
