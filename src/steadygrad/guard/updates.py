"""How far steps usually move the weights: a step that throws them away shows here before the loss shows it."""

import math
from collections import deque
from typing import ClassVar

from .._robust import MAD_TO_SIGMA, RobustWindow
from .state import Stateful

THROWN = 0.3
"""A step that moves a weight matrix by this part of itself may have thrown it away."""

THROWN_AT_FIRST = 3.0
"""The same without a history to compare with."""

HISTORY = 8
"""Steps that make a history."""

RATIO = 10.0
WIDTH = 6.0
"""How many times, and how many spreads, above the median an update is out of the ordinary."""

LAG = 4
"""Checks of the loss, eight steps apart, for which a rate must have done no harm before it counts as harmless."""


class UpdateLevel(Stateful):
    """Knows the usual size of an update relative to its weights.

    Example:
        >>> updates = UpdateLevel()
        >>> for _ in range(20):
        ...     updates.push(0.001)
        >>> updates.thrown(0.002), updates.thrown(2.0)
        (False, True)
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_window",)

    def __init__(self) -> None:
        self._window = RobustWindow(64)

    def push(self, ratio: float) -> None:
        """Add the ratio |dw| / |w| of a step that was made."""
        if ratio > 0.0 and math.isfinite(ratio):
            self._window.push(math.log(ratio))

    def thrown(self, ratio: float) -> bool:
        """Whether a step of this size is out of the ordinary and large enough to do harm."""
        if not math.isfinite(ratio):
            return True
        if len(self._window) < HISTORY:
            return ratio > THROWN_AT_FIRST
        middle = self._window.median()
        spread = max(MAD_TO_SIGMA * self._window.mad(), 0.2 + 0.8 / math.sqrt(len(self._window)))
        return ratio > THROWN and math.log(ratio) > middle + max(math.log(RATIO), WIDTH * spread)

    def usual_over(self, ratio: float) -> float:
        """The usual size over this one, at most 1: by what the learning rate would have to be multiplied."""
        if not len(self._window) or not ratio > 0.0:
            return 1.0
        return min(1.0, math.exp(self._window.median()) / ratio)


class HarmlessRate(Stateful):
    """Knows the highest learning rate that was followed by a sound loss.

    A warm-up or a restart goes where the loss has followed so far; a rate far above all of those, with a loss above its
    best, is what drives it.

    Example:
        >>> rates = HarmlessRate()
        >>> for _ in range(8):
        ...     rates.check(0.1, sound=True)
        >>> rates.check(1.0, sound=False)
        >>> rates.raised()
        10.0
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_waiting", "_highest", "_now", "_best", "_improving")

    def __init__(self) -> None:
        self._waiting: deque[float] = deque(maxlen=LAG + 1)
        self._highest = 0.0
        self._now = 0.0
        self._best = math.inf
        self._improving = 0.0

    def check(self, lr: float | None, *, sound: bool, best: float = math.inf) -> None:
        """Tell of the rate at a check of the loss, of what the loss said, and of its best level so far."""
        if best < self._best:
            self._best, self._improving = best, max(self._improving, self._now)
        self._now = lr or 0.0
        if not sound:
            return
        self._waiting.append(self._now)
        if len(self._waiting) > LAG:
            self._highest = max(self._highest, self._waiting[0])

    def raised(self, lr: float | None = None) -> float:
        """This rate, or that at the last check, over the highest harmless one; 1 where nothing is known."""
        return (self._now if lr is None else lr) / self._highest if self._highest > 0.0 else 1.0

    def beyond_good(self, lr: float | None) -> float:
        """This rate over the highest one, eight steps before, at which the loss came to a new best level.

        A rate that rises slowly is harmless for longer than it is good: the loss no longer falls, but only later rises.
        """
        good = self._improving or self._highest
        return (lr or 0.0) / good if good > 0.0 else 1.0
