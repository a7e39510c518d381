"""A set network for point clouds: multi-head self-attention that estimates the spread of the points.

Cause: attention-logits
Fails: the loss is not finite from step 30 on
First bad: step 30, loss, mse_loss
"""

import math

import torch
from torch import nn


class MultiHead(nn.Module):
    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.to_q, self.to_k = nn.Linear(width, width), nn.Linear(width, width)
        self.to_v, self.merge = nn.Linear(width, width), nn.Linear(width, width)

    def split(self, x: torch.Tensor) -> torch.Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.split(self.to_q(x)), self.split(self.to_k(x)), self.split(self.to_v(x))
        scores = q @ k.mT * q.shape[-1]  # fix: scores = q @ k.mT / math.sqrt(q.shape[-1])
        return x + self.merge((scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class PointSet(nn.Module):
    def __init__(self, width: int = 64, heads: int = 4) -> None:
        super().__init__()
        self.lift = nn.Sequential(nn.Linear(3, width), nn.GELU(), nn.Linear(width, width))
        self.mix = nn.Sequential(MultiHead(width, heads), MultiHead(width, heads))
        self.head = nn.Linear(width, 1)

    def forward(self, points: torch.Tensor) -> torch.Tensor:
        return self.head(self.mix(self.lift(points)).mean(1)).squeeze(-1)


def clouds(n: int, points: int = 20) -> tuple[torch.Tensor, torch.Tensor]:
    spread = 0.3 + torch.rand(n)
    return spread[:, None, None] * torch.randn(n, points, 3), spread * math.sqrt(12) - 2.8


def main() -> None:
    torch.manual_seed(6)
    model = PointSet()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(200):
        points, spread = clouds(24)
        loss = nn.functional.mse_loss(model(points), spread)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    print("final loss", sum(losses[-10:]) / 10)


main()
