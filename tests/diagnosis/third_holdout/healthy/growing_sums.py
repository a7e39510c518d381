"""Curriculum: an LSTM counts the ones in bit strings that become longer and longer."""
from dataclasses import dataclass, field

import torch
from torch import nn


@dataclass
class Plan:
    lengths: list = field(default_factory=lambda: [4, 8, 16, 24, 32, 40])
    steps_each: int = 220
    batch: int = 32


class Counter(nn.Module):
    def __init__(self, hidden=24):
        super().__init__()
        self.lstm = nn.LSTM(1, hidden, batch_first=True)
        self.head = nn.Linear(hidden, 1)

    def forward(self, bits):
        out, _ = self.lstm(bits.unsqueeze(-1))
        return self.head(out[:, -1]).squeeze(-1)


def train(plan):
    torch.manual_seed(15)
    model = Counter()
    opt = torch.optim.RMSprop(model.parameters(), lr=3e-3)
    for length in plan.lengths:
        for _ in range(plan.steps_each):
            bits = (torch.rand(plan.batch, length) < 0.5).float()
            loss = (4 * model(bits) - bits.sum(1)).pow(2).mean()
            opt.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            opt.step()
        print(length, loss.item())
    return loss.item()


print("final loss", train(Plan()))
