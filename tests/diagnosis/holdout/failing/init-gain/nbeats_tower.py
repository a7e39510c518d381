"""An N-BEATS flavoured forecaster: a residual tower without normalisation over sliding windows.

Cause: init-gain
Fails: every residual block doubles the stream, the loss starts above 1e11 and never comes down to the variance of the target
"""

import argparse
import math

import torch
import torch.nn as nn
import torch.nn.functional as F


INIT_GAIN = 1.8  # fix: INIT_GAIN = 0.25


def make_series(n):
    t = torch.arange(n, dtype=torch.float32)
    y = torch.sin(2 * math.pi * t / 24) + 0.5 * torch.sin(2 * math.pi * t / 168) + 0.1 * torch.randn(n)
    return (y - y.mean()) / y.std()


class Block(nn.Module):
    def __init__(self, width, gain):
        super().__init__()
        self.lift = nn.Linear(width, width)
        self.drop = nn.Linear(width, width)
        nn.init.orthogonal_(self.lift.weight, gain)
        nn.init.orthogonal_(self.drop.weight, gain)

    def forward(self, z):
        return z + self.drop(F.gelu(self.lift(z)))


class Tower(nn.Module):
    def __init__(self, lookback, horizon, width, depth, gain):
        super().__init__()
        self.inp = nn.Linear(lookback, width)
        self.blocks = nn.ModuleList([Block(width, gain) for _ in range(depth)])
        self.out = nn.Linear(width, horizon)

    def forward(self, x):
        z = self.inp(x)
        for b in self.blocks:
            z = b(z)
        return self.out(z)


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--lookback", type=int, default=48)
    ap.add_argument("--horizon", type=int, default=12)
    ap.add_argument("--depth", type=int, default=16)
    ap.add_argument("--steps", type=int, default=220)
    ap.add_argument("--init-gain", type=float, default=INIT_GAIN)
    args = ap.parse_args()

    torch.manual_seed(3)
    series = make_series(3000)
    windows = series.unfold(0, args.lookback + args.horizon, 1)
    model = Tower(args.lookback, args.horizon, 64, args.depth, args.init_gain)
    opt = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=1e-2)
    history = []
    for step in range(args.steps):
        w = windows[torch.randint(0, len(windows), (64,))]
        pred = model(w[:, : args.lookback])
        loss = F.mse_loss(pred, w[:, args.lookback :])
        opt.zero_grad(set_to_none=True)
        loss.backward()
        opt.step()
        history.append(loss.item())
    print("final loss", sum(history[-10:]) / 10)


if __name__ == "__main__":
    main()
