"""Sensor regression: healthy for 150 steps, then one batch in which a sensor reports in the wrong unit.

Cause: outlier-batch
Fails: the loss is healthy up to the batch of step 150 and not finite from step 152 on
First bad: step 152, loss, mse_loss | step 151, loss, mse_loss
Variants: --factor 1e4 --optimizer sgd | --factor 1e6 --optimizer momentum
"""

import argparse

import torch
from torch import nn


def stream(steps, factor):
    generator = torch.Generator().manual_seed(7)
    for step in range(steps):
        x = torch.randn(32, 6, generator=generator)
        y = torch.sin(x[:, :1]) + 0.5 * x[:, 1:2]
        if step == 150:
            x[3, 2] *= factor
        # fix: x = x.clamp(-5, 5)
        yield x, y


parser = argparse.ArgumentParser()
parser.add_argument("--factor", type=float, default=1e4)
parser.add_argument("--optimizer", default="sgd")
args = parser.parse_args()
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 32), nn.ReLU(), nn.Linear(32, 1))
momentum = 0.9 if args.optimizer == "momentum" else 0.0
optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=momentum)
recent = []
for x, y in stream(400, args.factor):
    loss = nn.functional.mse_loss(model(x), y)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    recent = [*recent[-19:], loss.item()]
print("final loss", sum(recent) / len(recent))
