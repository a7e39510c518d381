"""An LSTM adds up marked numbers in sequences which grow longer from stage to stage: the loss jumps whenever the
curriculum moves on, and falls again."""

import argparse

import torch
from torch import nn


def adding(count, length):
    numbers = torch.rand(count, length)
    marks = torch.zeros(count, length)
    for half in (slice(0, length // 2), slice(length // 2, length)):
        width = half.stop - half.start
        at = torch.randint(0, width, (count,)) + half.start
        marks[torch.arange(count), at] = 1.0
    return torch.stack([numbers, marks], -1), (numbers * marks).sum(1)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--stages", type=int, nargs="+", default=[4, 8, 14, 20])
    parser.add_argument("--per-stage", type=int, default=150)
    args = parser.parse_args()
    torch.manual_seed(47)
    lstm, out = nn.LSTM(2, 40, batch_first=True), nn.Linear(40, 1)
    weights = [*lstm.parameters(), *out.parameters()]
    optimizer = torch.optim.Adam(weights, lr=1e-2)
    losses = []
    for length in args.stages:
        for step in range(args.per_stage):
            x, total = adding(32, length)
            loss = nn.functional.mse_loss(out(lstm(x)[0][:, -1]).squeeze(1), total)
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(weights, 1.0)
            optimizer.step()
            losses.append(loss.item())
            if step % 50 == 0:
                print(length, step, f"{loss.item():.5f}")
    print("final loss", sum(losses[-20:]) / 20)


main()
