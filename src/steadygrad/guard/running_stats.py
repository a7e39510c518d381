"""Batch norm's running statistics: one broken batch, or a write from outside, must not stay in them."""

import math
from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

LEAP = 1_000.0
"""Times by which a running variance does not grow or shrink with one batch in sound training."""

SETTLED = 32
"""Batches after which running statistics have left their initial values."""

AGREE = 4
"""Batches in a row that leap alike are a change of the data."""


class RunningStats:
    """Finds running variances that have leapt with the last batch, or are no variances at all.

    Gradients say nothing about them: batch norm does not read them while it trains, and normalises a batch of any
    scale. Only evaluation shows the damage.

    Args:
        modules: roots of the modules to look at.
        read: gives the host the norm of each of some tensors, and the smallest value of all.

    Example:
        >>> norm = nn.BatchNorm1d(2)
        >>> stats = RunningStats([norm], lambda ts: ([t.norm().item() for t in ts], min(t.min().item() for t in ts)))
        >>> [stats.broken() for _ in range(40)][-1]
        False
        >>> _ = norm.running_var.fill_(1e12)
        >>> stats.broken()
        True
    """

    def __init__(
        self, modules: Iterable[nn.Module], read: Callable[[Sequence[Tensor]], tuple[Sequence[float], float]]
    ) -> None:
        found = {id(module): module for root in modules for module in root.modules() if isinstance(module, _BatchNorm)}
        self._modules = [module for module in found.values() if module.running_var is not None]
        self._read = read
        self._last: list[float] = []
        self._batches = 0
        self._leaps = 0

    def __bool__(self) -> bool:
        return bool(self._modules)

    @torch.no_grad()
    def broken(self) -> bool:
        """Look at them after a step; what is not broken becomes what the next look compares with."""
        tensors = [module.running_var for module in self._modules if module.running_var is not None]
        norms, smallest = self._read(tensors)
        if not smallest >= 0.0:  # NaN is none either
            return True
        leapt = self._batches >= SETTLED and len(norms) == len(self._last) and any(map(_leapt, self._last, norms))
        if leapt and self._leaps < AGREE:
            self._leaps += 1
            return True
        self._leaps = 0
        self._last = list(norms)
        self._batches += 1
        return False


def _leapt(before: float, now: float) -> bool:
    return before > 0.0 and (not math.isfinite(now) or not before / LEAP <= now <= before * LEAP)
