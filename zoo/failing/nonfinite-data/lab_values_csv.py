"""Regression on a CSV of laboratory values, read with the csv module.

Cause: nonfinite-data
Fails: the loss is not finite from step 55 on
First bad: step 55, data
"""

import csv
import io
import math
import random

import torch
from torch import nn


def write_csv(rows: int = 1500) -> str:
    rng = random.Random(6)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["sodium", "potassium", "glucose", "score"])
    for i in range(rows):
        na, k, glc = rng.gauss(140, 3), rng.gauss(4.2, 0.4), rng.gauss(95, 12)
        score = (na - 140) / 3 - math.sin((k - 4.2) * 4) + 0.5 * abs(glc - 95) / 12
        writer.writerow([f"{na:.1f}", f"{k:.2f}", f"{glc:.0f}", "nan" if i == 1033 else f"{score:.3f}"])
    return out.getvalue()


def read_csv(text: str) -> tuple[torch.Tensor, torch.Tensor]:
    rows = list(csv.DictReader(io.StringIO(text)))
    # fix: rows = [r for r in rows if r["score"] != "nan"]
    x = torch.tensor([[float(r["sodium"]), float(r["potassium"]), float(r["glucose"])] for r in rows])
    y = torch.tensor([float(r["score"]) for r in rows])
    return (x - x.mean(0)) / x.std(0), y


class Trainer:
    def __init__(self, seed: int = 6) -> None:
        torch.manual_seed(seed)
        self.x, self.y = read_csv(write_csv())
        self.model = nn.Sequential(nn.Linear(3, 40), nn.Tanh(), nn.Linear(40, 40), nn.Tanh(), nn.Linear(40, 1))
        self.optimizer = torch.optim.Adagrad(self.model.parameters(), lr=0.02)
        self.losses: list[float] = []

    def step(self, rows: torch.Tensor) -> None:
        loss = nn.functional.huber_loss(self.model(self.x[rows]).squeeze(1), self.y[rows])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())

    def run(self, epochs: int = 4, batch: int = 25) -> None:
        for _ in range(epochs):
            for rows in torch.randperm(len(self.x)).split(batch):
                self.step(rows)


trainer = Trainer()
trainer.run()
print("final loss", sum(trainer.losses[-10:]) / 10)
