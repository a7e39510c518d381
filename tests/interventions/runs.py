"""Running a training with and without a remedy, from the same seed."""

import math
from collections.abc import Callable, Sequence
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn

from steadygrad.interventions import Applied, Intervention, intervention_for

Training = Callable[[], Sequence[float]]


def bare(training: Training) -> list[float]:
    """Its losses without any change."""
    torch.manual_seed(0)
    return list(training())


def with_remedy(training: Training, remedy: str, where: str = "", **options: Any) -> list[float]:
    """Its losses with a remedy, which must have changed something."""
    losses, applied = under(training, intervention_for(remedy, where, **options))
    assert applied.times > 0, "the remedy found nothing to change"
    return losses


def under(training: Training, applied: Intervention) -> tuple[list[float], Intervention]:
    torch.manual_seed(0)
    with Applied([applied]):
        return list(training()), applied


def lost(losses: Sequence[float]) -> bool:
    """Whether a training has blown up: not finite, or a hundred times its start."""
    return not all(map(math.isfinite, losses)) or losses[-1] > 100 * losses[0]


def end(losses: Sequence[float]) -> float:
    """The median of the last losses; infinite if one is not finite."""
    last = losses[-5:]
    return median(last) if all(map(math.isfinite, last)) else math.inf


def fitted(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    batch: Callable[[int], tuple[Tensor, Tensor]],
    steps: int,
    loss_of: Callable[[Tensor, Tensor], Tensor] = nn.functional.mse_loss,
    *,
    clears: bool = True,
) -> list[float]:
    """The usual loop."""
    losses = []
    for step in range(steps):
        x, y = batch(step)
        loss = loss_of(model(x), y)
        if clears:
            optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def rows(step: int = 0) -> tuple[Tensor, Tensor]:
    """A batch that a small perceptron learns in some tens of steps."""
    x = torch.randn(32, 4)
    return x, torch.sin(x[:, :1]) + 0.5 * x[:, 1:2]


def perceptron(width: int = 32, activation: type[nn.Module] = nn.ReLU) -> nn.Sequential:
    return nn.Sequential(nn.Linear(4, width), activation(), nn.Linear(width, width), activation(), nn.Linear(width, 1))
