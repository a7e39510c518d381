"""An LSTM that predicts the next value of a noisy seasonal series; 16 micro-batches make one step.

Cause: loss-scale
Fails: the loss rises from 0.5 to more than 1e20
"""

import torch
from torch import nn


class Forecaster(nn.Module):
    def __init__(self, hidden=20):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(hidden, 32), nn.ReLU(), nn.Linear(32, 1))

    def forward(self, x):
        out, _ = self.lstm(x.unsqueeze(-1))
        return self.mlp(out[:, -1]).squeeze(-1)


def series(n):
    t = torch.arange(n)
    s = torch.sin(6.28 * t / 24) + 0.5 * torch.cos(6.28 * t / 60) + 0.1 * torch.randn(n)
    return (s - s.mean()) / s.std()


def main():
    torch.manual_seed(5)
    windows = series(2500).unfold(0, 17, 1)
    model = Forecaster()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    accumulate = 16
    losses = []
    for step in range(100):
        total = 0.0
        for micro in torch.randint(0, len(windows), (accumulate, 6)):
            batch = windows[micro]
            loss = nn.functional.mse_loss(model(batch[:, :-1]), batch[:, -1])
            total += loss.item() / accumulate
            loss.backward()  # fix: (loss / accumulate).backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(total)
    print("final loss", sum(losses[-10:]) / 10)


main()
