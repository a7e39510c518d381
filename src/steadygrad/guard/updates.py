"""How far steps usually move the weights: a step that throws them away shows here before the loss shows it."""

import math
from collections import deque
from statistics import median
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

RECENT = 8


class UpdateLevel(Stateful):
    """Knows the usual size of an update relative to its weights, and the largest that did no harm.

    Example:
        >>> updates = UpdateLevel()
        >>> for _ in range(20):
        ...     updates.push(0.001)
        >>> updates.thrown(0.002), updates.thrown(2.0)
        (False, True)
        >>> updates.harmless()
        >>> for _ in range(8):
        ...     updates.push(0.01)
        >>> round(updates.raised())
        10
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_window", "_recent", "_peak")

    def __init__(self) -> None:
        self._window = RobustWindow(64)
        self._recent: deque[float] = deque(maxlen=RECENT)
        self._peak = 0.0

    def push(self, ratio: float) -> None:
        """Add the ratio |dw| / |w| of a step that was made."""
        if ratio > 0.0 and math.isfinite(ratio):
            self._window.push(math.log(ratio))
            self._recent.append(ratio)

    def thrown(self, ratio: float) -> bool:
        """Whether a step of this size is out of the ordinary and large enough to do harm."""
        if not math.isfinite(ratio):
            return True
        if len(self._window) < HISTORY:
            return ratio > THROWN_AT_FIRST
        middle = self._window.median()
        spread = max(MAD_TO_SIGMA * self._window.mad(), 0.2 + 0.8 / math.sqrt(len(self._window)))
        return ratio > THROWN and math.log(ratio) > middle + max(math.log(RATIO), WIDTH * spread)

    def harmless(self) -> None:
        """Training is well: the present level is one that does no harm."""
        if len(self._recent) == RECENT:
            self._peak = max(self._peak, median(self._recent))

    def raised(self) -> float:
        """The present level over the highest harmless one; 1 where nothing is known."""
        if not self._peak or len(self._recent) < RECENT:
            return 1.0
        return median(self._recent) / self._peak

    def usual_over(self, ratio: float) -> float:
        """The usual size over this one, at most 1: by what the learning rate would have to be multiplied."""
        if not len(self._window) or not ratio > 0.0:
            return 1.0
        return min(1.0, math.exp(self._window.median()) / ratio)
