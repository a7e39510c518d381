"""The state of the loss: evidence for other detectors, never a reason to act by itself."""

from collections import deque
from itertools import pairwise
from statistics import median

from .._robust import MAD_TO_SIGMA

RECENT = 8
HISTORY = 64


class LossLevel:
    """Knows whether the accepted losses lie clearly above their best level. Signed and shift-free.

    Example:
        >>> level = LossLevel()
        >>> for step in range(40):
        ...     level.push(2.0 - 0.01 * step)
        >>> level.worse()
        False
        >>> for step in range(8):
        ...     level.push(9.0)
        >>> level.worse()
        True
    """

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=HISTORY)
        self._best = float("inf")
        self._first: float | None = None

    def push(self, loss: float) -> None:
        """Add the finite loss of an accepted step."""
        if self._first is None:
            self._first = loss
        self._losses.append(loss)
        if len(self._losses) >= RECENT:
            self._best = min(self._best, self._recent())

    def worse(self) -> bool:
        """Whether the level now is above the best by more than six times the noise and half of all progress."""
        if self._first is None or len(self._losses) < RECENT:
            return False
        losses = list(self._losses)
        steps = [after - before for before, after in pairwise(losses)]
        middle = median(steps)
        noise = MAD_TO_SIGMA * median(abs(step - middle) for step in steps)
        ordered = sorted(losses)
        spread = ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4]
        span = max(self._first - self._best, spread if self._first <= self._best else 0.0)
        return self._recent() - self._best > max(6 * noise, 0.5 * span)

    def _recent(self) -> float:
        recent = [self._losses[index] for index in range(len(self._losses) - RECENT, len(self._losses))]
        return median(recent)
