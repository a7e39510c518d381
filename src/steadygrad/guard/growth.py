"""Growth that goes on and on: of the gradients' norm or of the weights, check after check."""

import math
from collections import deque
from itertools import pairwise
from statistics import median
from typing import ClassVar

from .state import Stateful

CHECKS = 6
"""Checks in a row at which it has grown each time."""


class Growth(Stateful):
    """Knows whether a positive quantity has grown at each of the last checks, and by how much in all.

    A tenfold rise of the gradient norm can be healthy. So this alone is no alarm: it needs a loss above its best.

    Args:
        least: by what it must have grown at every check.
        total: by what over all of them.
        every: how many values make a check; their median counts.

    Example:
        >>> growth = Growth(least=1.1, total=8.0)
        >>> any(growth.push(1.05**step) for step in range(80))
        True
        >>> growth = Growth(least=1.1, total=8.0)
        >>> any(growth.push(1.0 + 0.3 * (step % 5)) for step in range(80))
        False
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_recent", "_levels", "_count")

    def __init__(self, *, least: float, total: float, every: int = 8) -> None:
        self._least = least
        self._total = total
        self._every = every
        self._recent: deque[float] = deque(maxlen=every)
        self._levels: deque[float] = deque(maxlen=CHECKS + 1)
        self._count = 0

    def push(self, value: float) -> bool:
        """Add a value; returns whether this completes a check that finds sustained growth."""
        self._recent.append(value)
        self._count += 1
        if self._count % self._every:
            return False
        level = median(self._recent)
        if self._levels and not level > self._least * self._levels[-1]:
            self._levels.clear()
        self._levels.append(level)
        if len(self._levels) <= CHECKS or not level > self._total * self._levels[0] > 0.0:
            return False
        # One jump (a longer context, another task) is no growth: without it, half of the way must be left.
        jump = max(after / before for before, after in pairwise(self._levels))
        return self.factor / jump > math.sqrt(self._total)

    @property
    def factor(self) -> float:
        """By what it has grown over the checks in a row."""
        return self._levels[-1] / self._levels[0] if len(self._levels) > 1 and self._levels[0] > 0 else math.nan
