"""A training whose steps are undone: its weights are put back again and again, and what it had gained is gone."""

import math
from collections import deque
from collections.abc import Sequence
from statistics import fmean, median, stdev
from typing import ClassVar

from .state import Stateful

BACK = 0.9
"""The part of the way since weights were last written that they are taken back by a write, for it to undo steps."""

SHORTEST = 5
"""Steps between two writes below which they are a part of each step, as a projection is."""

CYCLES, CYCLES_KEPT = 6, 24
"""Writes in a row that must agree, and those that are known of."""

SURE = 3.0
"""Standard errors by which the mean gain between two writes has to be above zero."""

EDGE = 8
"""One in so many losses at each end of the steps between two writes says where they began, or ended."""

LOST = 0.5
"""The part of what the steps between two writes have gained that has to be lost by the next one."""

LEARNED = 0.5
"""The part of one such gain by which all writes together may have come down, without anything having been learned."""

LEAST = 0.02
"""The part of a loss that such a gain has to be."""

MOST = 64
"""Losses that are kept of each end."""


class Undone(Stateful):
    """Knows whether what steps gain is lost each time that somebody writes weights between two of them.

    Averaged weights that are swapped in for an evaluation and never out again do that. A projection at each step does
    not, nor do weights that are moved on (Lookahead, a federated mean): they keep a part of what was gained.

    Example:
        >>> undone = Undone()
        >>> for step in range(70):
        ...     if step and step % 10 == 0:
        ...         undone.written(0.99)
        ...     undone.push(2.0 - 0.1 * (step % 10))
        ...     if undone.gains_nothing():
        ...         print(step)
        60
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_first", "_last", "_count", "_cycles", "_begins", "_told")

    def __init__(self) -> None:
        self._first: list[float] = []
        self._last: deque[float] = deque(maxlen=MOST)
        self._count = 0
        self._cycles: list[list[float]] = []
        self._begins = self._told = False

    def push(self, loss: float) -> None:
        """Tell of the loss of a step."""
        self._count += 1
        self._last.append(loss)
        if len(self._first) < MOST:
            self._first.append(loss)

    def matters(self, ago: int = 0) -> bool:
        """Whether a write so many steps ago comes long enough after the one before it for anybody to ask how far back
        it leads: a projection at each step does not."""
        return self._count - ago >= SHORTEST

    def written(self, back: float, *, ago: int = 0) -> None:
        """Somebody has written weights.

        Args:
            back: the part of the way since the last time by which they are nearer to where they were then.
            ago: steps that have been pushed since, a few.
        """
        first, last, count, matters = self._first, list(self._last), self._count - ago, self.matters(ago)
        since = last[len(last) - ago :]
        self._first, self._count = list(since), ago
        self._last.clear()
        self._last.extend(since)
        if not matters or not back >= BACK:
            self._cycles.clear()
            return
        edge = min(MOST // 2, max(1, count // EDGE))
        ends = last[: len(last) - ago][-edge:]
        self._cycles = [*self._cycles, [fmean(first[:edge]), fmean(ends), float(count)]][-CYCLES_KEPT:]
        self._begins = True

    def gains_nothing(self) -> bool:
        """Whether all that was gained between several writes was lost by them, asked once for each; said once."""
        if not self._begins or not self._first:
            return False
        self._begins = False
        if not self._told and len(self._cycles) >= CYCLES:
            self._told = _is_lost(self._cycles, self._first[0])
            return self._told
        return False

    def cycle(self) -> tuple[float, float, int]:
        """The losses with which the steps between two writes begin and end, and how many there are: their medians."""
        first, last, steps = (median(each) for each in zip(*self._cycles, strict=True))
        return first, last, int(steps)


def _is_lost(cycles: Sequence[Sequence[float]], now: float) -> bool:
    firsts, lasts = [each[0] for each in cycles], [each[1] for each in cycles]
    gains = [first - last for first, last in zip(firsts, lasts, strict=True)]
    losses = [first - last for first, last in zip([*firsts[1:], now], lasts, strict=True)]
    gained, part = fmean(gains), len(cycles) // 3
    return (
        gained > max(SURE * stdev(gains) / math.sqrt(len(gains)), LEAST * abs(median(firsts)))
        and fmean(losses) > max(SURE * stdev(losses) / math.sqrt(len(losses)), LOST * gained)
        and fmean(firsts[-part:]) > fmean(firsts[:part]) - LEARNED * gained
    )
