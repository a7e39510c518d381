"""A tower of token-mixing and channel-mixing layers answers which of two marked tokens is larger.

Cause: vanishing-depth
Fails: stays at 0.693
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass
class Config:
    tokens: int = 8
    width: int = 24
    depth: int = 12
    lr: float = 1e-3
    steps: int = 300
    batch: int = 48


class Mix(nn.Module):
    def __init__(self, tokens: int, width: int) -> None:
        super().__init__()
        self.across = nn.Linear(tokens, tokens)
        self.along = nn.Linear(width, width)
        for linear in (self.across, self.along):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor) -> Tensor:
        y = self.across(x.transpose(1, 2)).transpose(1, 2)
        y = torch.nn.functional.gelu(self.along(y))
        return y  # fix: return x + y


class Mixer(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.enter = nn.Linear(2, c.width)
        self.tower = nn.Sequential(*[Mix(c.tokens, c.width) for _ in range(c.depth)])
        self.answer = nn.Linear(c.width * c.tokens, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.answer(self.tower(self.enter(x)).flatten(1)).squeeze(1)


def questions(c: Config) -> tuple[Tensor, Tensor]:
    values = torch.randn(c.batch, c.tokens)
    marks = torch.zeros(c.batch, c.tokens)
    left = torch.randint(0, c.tokens // 2, (c.batch, 1))
    right = torch.randint(c.tokens // 2, c.tokens, (c.batch, 1))
    marks.scatter_(1, left, 1.0).scatter_(1, right, 1.0)
    label = (values.gather(1, left) > values.gather(1, right)).float().squeeze(1)
    return torch.stack([values, values * marks], 2), label


def main() -> None:
    c = Config()
    torch.manual_seed(10)
    model = Mixer(c)
    optimizer = torch.optim.AdamW(model.parameters(), lr=c.lr, weight_decay=0.01, foreach=True)
    losses = []
    for step in range(c.steps):
        x, label = questions(c)
        loss = nn.functional.binary_cross_entropy_with_logits(model(x), label)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
        if step % 50 == 0:
            print(f"{step:4d} {loss.item():.4f}")
    print("final loss", sum(losses[-10:]) / 10)


main()
