"""Full-batch gradient descent sharpens its loss until sharpness stands at 2 / lr, and stays there.

    nice -n 10 python benchmarks/papers/edge_of_stability.py
    nice -n 10 python benchmarks/papers/edge_of_stability.py --json edge_of_stability.json

Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021, figures 1 and 5: a
fully connected tanh network, mean squared error, full-batch gradient descent. Theirs is trained on 5,000 images of
CIFAR-10; here it is three layers on 512 points of a teacher network, which a laptop does in minutes. The paper's claim
is about any such training: sharpness rises (progressive sharpening), then hovers at, or just above, 2 / lr, while the
loss goes on falling.

Printed for each rate: sharpness at the start, its median over the last third of the steps as a part of 2 / lr (mean
over seeds with a 95 % interval), and whether the loss still fell. Exit status 1 if a mean is not within 5 %.
"""

import argparse
import json
import math
import sys
import time
from pathlib import Path
from statistics import mean, median, stdev

import torch
from rich.console import Console
from rich.table import Table
from torch import Tensor, nn

from steadygrad.measure import sharpness

RATES = {0.4: 2500, 0.2: 5000}
"""Learning rates, and how many steps it takes."""

WITHIN = 0.05

T_QUANTILE = {2: 12.71, 3: 4.30, 4: 3.18, 5: 2.78, 6: 2.57, 8: 2.36, 10: 2.26}
"""Student's t at 97.5 % by number of seeds."""


def problem(seed: int, width: int = 64, inputs: int = 10) -> tuple[nn.Module, Tensor, Tensor]:
    """A three-layer tanh network and 512 points of a teacher of its kind."""
    torch.manual_seed(seed)
    x = torch.randn(512, inputs)
    teacher = nn.Sequential(nn.Linear(inputs, 32), nn.Tanh(), nn.Linear(32, 1))
    with torch.no_grad():
        y = teacher(3 * x)
        y = (y - y.mean()) / y.std()
    net = nn.Sequential(nn.Linear(inputs, width), nn.Tanh(), nn.Linear(width, width), nn.Tanh(), nn.Linear(width, 1))
    return net, x, y


def run(seed: int, lr: float, steps: int, every: int = 50) -> tuple[list[float], list[float]]:
    """Sharpness and loss along a training."""
    net, x, y = problem(seed)
    optimizer = torch.optim.SGD(net.parameters(), lr=lr)
    params = list(net.parameters())
    sharpnesses, losses = [], []
    for step in range(steps):
        loss = nn.functional.mse_loss(net(x), y)
        if step % every == 0:
            sharpnesses.append(sharpness(loss, params, tolerance=0.02).value.item())
            losses.append(loss.item())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return sharpnesses, losses


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=5, choices=sorted(T_QUANTILE))
    parser.add_argument("--json", type=Path, help="write the figures here too")
    options = parser.parse_args()
    torch.set_num_threads(1)
    console = Console(width=120)
    table = Table(
        "lr", "2 / lr", "at the start", "settles at", "sharpness x lr / 2", "95 % interval", "paper", "loss falls"
    )
    figures = []
    sound = True
    began = time.monotonic()
    for lr, steps in RATES.items():
        starts, ratios, falls = [], [], []
        for seed in range(options.seeds):
            curve, losses = run(seed, lr, steps)
            third = len(curve) // 3
            starts.append(curve[0])
            ratios.append(median(curve[-third:]) * lr / 2)
            falls.append(mean(losses[-third:]) < mean(losses[-2 * third : -third]))
        half = T_QUANTILE[options.seeds] * stdev(ratios) / math.sqrt(len(ratios))
        sound &= abs(mean(ratios) - 1) <= WITHIN
        figures.append({"lr": lr, "steps": steps, "ratios": ratios, "half_interval": half, "loss_falls": falls})
        table.add_row(
            f"{lr:g}", f"{2 / lr:g}", f"{mean(starts):.2f}", f"{mean(ratios) * 2 / lr:.2f}", f"{mean(ratios):.3f}",
            f"{mean(ratios) - half:.3f} to {mean(ratios) + half:.3f}", "1, or just above",
            f"{sum(falls)} of {len(falls)}",
        )  # fmt: skip
    console.print(table)
    console.print(f"{options.seeds} seeds, {time.monotonic() - began:.0f} s; bound: within {WITHIN:.0%} of 2 / lr")
    if options.json:
        options.json.write_text(json.dumps(figures, indent=1))
    return 0 if sound else 1


if __name__ == "__main__":
    sys.exit(main())
