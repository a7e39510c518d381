"""An LSTM reads a long stream and must report the number that came with the flag near its beginning.

Cause: vanishing-recurrent
Fails: stays at 0.33, the variance of the answers
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Options:
    length: int = 50
    hidden: int = 32
    batch: int = 32
    steps: int = 300
    lr: float = 5e-3


class FlagReader(nn.Module):
    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(2, hidden, batch_first=True)
        self.value = nn.Linear(hidden, 1)
        with torch.no_grad():
            forget = slice(hidden, 2 * hidden)
            self.lstm.bias_ih_l0[forget] = -2.0  # fix: self.lstm.bias_ih_l0[forget] = 4.0

    def forward(self, x: Tensor) -> Tensor:
        _, (h, _) = self.lstm(x)
        return self.value(h[-1]).squeeze(1)


def stream(o: Options) -> tuple[Tensor, Tensor]:
    numbers = 0.1 * torch.randn(o.batch, o.length)
    flags = torch.zeros(o.batch, o.length)
    where = torch.randint(0, 5, (o.batch, 1))
    flags.scatter_(1, where, 1.0)
    answer = torch.rand(o.batch, 1) * 2 - 1
    numbers.scatter_(1, where, answer)
    return torch.stack([numbers, flags], 2), answer.squeeze(1)


def fit(o: Options) -> list[float]:
    model = FlagReader(o.hidden)
    optimizer = torch.optim.Adam(model.parameters(), lr=o.lr)
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.998)
    losses = []
    for step in range(o.steps):
        x, y = stream(o)
        loss = nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(step, loss.item())
    return losses


torch.manual_seed(44)
losses = fit(Options())
print("final loss", sum(losses[-10:]) / 10)
