"""A transformer classifies which of two tokens is more frequent: gradient scaler, accumulation, clipping, cosine decay.

Cause: clip-before-unscale
Fails: stays at 0.82, where it began
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    vocab: int = 6
    length: int = 17
    width: int = 32
    updates: int = 200
    accumulate: int = 2
    peak: float = 0.1
    clip: float = 0.5


class Classifier(nn.Module):
    def __init__(self, c: Config) -> None:
        super().__init__()
        self.embed = nn.Embedding(c.vocab, c.width)
        layer = nn.TransformerEncoderLayer(c.width, 2, 64, dropout=0.0, batch_first=True, norm_first=True)
        self.encoder = nn.TransformerEncoder(layer, 2, enable_nested_tensor=False)
        self.head = nn.Sequential(nn.LayerNorm(c.width), nn.Linear(c.width, 2))

    def forward(self, ids: Tensor) -> Tensor:
        return self.head(self.encoder(self.embed(ids)).mean(1))


def batch(c: Config, size: int = 32) -> tuple[Tensor, Tensor]:
    ids = torch.randint(0, c.vocab, (size, c.length))
    majority = (ids == 0).sum(1) - (ids == 1).sum(1)
    return ids, (majority > 0).long()


def main() -> None:
    c = Config()
    torch.manual_seed(29)
    model = Classifier(c)
    optimizer = torch.optim.SGD(model.parameters(), lr=c.peak, momentum=0.9, nesterov=True)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda u: min(1, (u + 1) / 20) * 0.5 * (1 + math.cos(math.pi * u / c.updates))
    )
    scaler = torch.amp.GradScaler("cpu", init_scale=2.0**15)
    losses: list[float] = []
    for _ in range(c.updates):
        total = 0.0
        for _ in range(c.accumulate):
            ids, labels = batch(c)
            loss = nn.functional.cross_entropy(model(ids), labels) / c.accumulate
            scaler.scale(loss).backward()
            total += loss.item()
        # fix: scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(model.parameters(), c.clip)
        scaler.step(optimizer)
        scaler.update()
        schedule.step()
        optimizer.zero_grad()
        losses.append(total)
    print("final loss", sum(losses[-10:]) / 10)


main()
