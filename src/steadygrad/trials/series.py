"""What a run's losses say of it: broken, flat, or learning, and how well."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from statistics import median

FEWEST = 3
"""Losses without which nothing can be said."""

TAIL = 0.1
"""Share of the losses that say where a run has come to; five at least."""

ABOVE = 0.5
"""How far above its start, of its start, a loss is that has been thrown."""

BACK = 0.25
"""Share of the progress by which a run may end above its best."""

LEARNS = 0.02
"""Share of the first loss by which a run has to have come down to have learned."""

NOISE = 3.0
"""Deviations that are no difference."""


@dataclass(frozen=True)
class Series:
    """The losses of a run, one a step; None where a step had none. Numbers may be NaN or infinite."""

    losses: Sequence[float | None]

    @cached_property
    def known(self) -> list[float]:
        """Those that are known."""
        return [float(loss) for loss in self.losses if loss is not None]

    @property
    def start(self) -> float:
        """The first loss."""
        return self.known[0] if self.known else math.nan

    @cached_property
    def end(self) -> float:
        """The median of the last ones; infinite if any of them is not finite."""
        last = self.known[-max(5, int(TAIL * len(self.known))) :]
        return median(last) if last and all(map(math.isfinite, last)) else math.inf

    @cached_property
    def _medians(self) -> list[float]:
        """Those of five in a row each; a loss that is not finite is an infinite one."""
        finite = [loss if math.isfinite(loss) else math.inf for loss in self.known]
        width = max(1, min(5, len(finite)))
        return [median(finite[i : i + width]) for i in range(len(finite) - width + 1)]

    @property
    def best(self) -> float:
        """The lowest median of five in a row."""
        return min(self._medians, default=math.inf)

    @property
    def worst(self) -> float:
        """The highest median of five in a row."""
        return max(self._medians, default=math.inf)

    @cached_property
    def noise(self) -> float:
        """How far one loss is from the next, robustly, in the second half."""
        half = [loss for loss in self.known[len(self.known) // 2 :] if math.isfinite(loss)]
        steps = [abs(b - a) for a, b in pairwise(half)]
        return 1.4826 * median(steps) / math.sqrt(2) if steps else 0.0

    @property
    def broken(self) -> bool:
        """Whether it has ended where no training is: not finite, above its start, or far above its own best."""
        if len(self.known) < FEWEST or not math.isfinite(self.end):
            return True
        margin = NOISE * self.noise
        if math.isfinite(self.start) and self.end > self.start + ABOVE * abs(self.start) + margin:
            return True
        progress = max(0.0, self.start - self.best) if math.isfinite(self.start) else 0.0
        return self.end > self.best + BACK * progress + margin + LEARNS * abs(self.best)

    @property
    def learns(self) -> bool:
        """Whether it has come down from where it began."""
        if self.broken:
            return False
        return not math.isfinite(self.start) or self.end < self.start - LEARNS * abs(self.start)

    @property
    def thrown(self) -> float:
        """The largest loss on the way, in units of the first one; infinite if one was not finite."""
        if not self.known or not all(map(math.isfinite, self.known)):
            return math.inf
        return max(self.known) / max(abs(self.start), 1e-30)

    @property
    def gained(self) -> float:
        """The share of the first loss that is gone: for losses in different units. Minus infinity if unknown."""
        if not (math.isfinite(self.start) and math.isfinite(self.end)):
            return -math.inf
        return (self.start - self.end) / max(abs(self.start), 1e-30)

    def like(self, other: "Series") -> bool:
        """Whether two runs of the same script went alike: the same losses, number for number, as far as both go."""
        pairs = list(zip(self.known, other.known, strict=False))
        return bool(pairs) and all(a == b or (a != a and b != b) for a, b in pairs)


def faulty(several: Sequence[Series]) -> int:
    """Which of several optimizers shows what is wrong: the first that breaks, or that learns nothing, or the longest.

    Example:
        >>> faulty([Series([2.0, 1.0, 0.5, 0.4]), Series([1.0, 9.0, 90.0, math.inf])])
        1
    """
    for wrong in (lambda each: each.broken, lambda each: not each.learns):
        for place, each in enumerate(several):
            if len(each.known) >= FEWEST and wrong(each):
                return place
    return max(range(len(several)), key=lambda place: len(several[place].losses), default=0)
