"""A run that never learns because the gradient does not reach its weights: vanished, dead, saturated."""

import math
from collections import deque
from statistics import median
from typing import ClassVar

import numpy as np

from .loss import LossLevel
from .state import Stateful

EVERY = 32
"""Steps from one look to the next."""

FROM_STEP = 256
"""Before it nothing is said: a warm-up or a plateau takes its time."""

LOOKS = 4
"""Looks in a row that must agree."""

UNREACHED = 1e-5
"""A weight matrix whose gradient norm is below this part of the largest of any tensor gets nothing to learn from."""

LEARNED = 0.02
"""The part of itself by which a loss must have fallen, beside twice its noise, to have learned anything."""

IDLE_FROM, IDLE_OVER = 48, 96
"""A loss that has not fallen between these steps is worth a look; then again at every doubling."""

IDLE_FELL = 0.35
"""The part of the first loss that it may have lost by then, and still be called idle: what biases alone explain."""

LOOK_AT = frozenset(start << times for start in (96, 128) for times in range(16))
"""Steps at which a closer look may be taken."""

BOTTOMLESS = 30.0
"""Times the first losses that a loss lies below zero, and times that gradients have grown, without a minimum."""

FASTER = 2.0
"""Times as much as in all steps before them that such a loss falls in as many steps again."""

FELL = 0.3
"""The part of the first loss that a training has lost which goes well."""

LOUD = 30.0
"""A mean cross-entropy above this is that of a guess among exp(30) classes."""

FALLING = 0.75
"""The part of its start that a loss has fallen to which may be on its way to that of a guess."""

REACH = 4.0
"""Times `LOUD`, below which a few dozen steps may bring a loss down to that of a guess."""

FAR = 1e4
"""Times its start from which a loss that grows ever further is no loss of a harder task."""

TENFOLD = 10.0
"""Times by which it grows while the number of steps doubles."""

LOOK_EARLY = frozenset({16, 32, 64})
"""Steps at which one may be taken too, where the loss is far above its start: a few are enough to see that."""

LOOK_FROM_START = LOOK_AT | LOOK_EARLY

ABOVE = 1.0
"""The part of the first loss by which a loss must lie above it to be looked at."""

SWING = 2.0
"""Times as far as first losses have lain below the very first one, by which a loss below zero must lie above it."""

BIASES = 128
"""Steps after which the last bias has learned what it can without the rest: how often each answer is right."""


class Stall(Stateful):
    """Knows whether a loss has never fallen while at least half of the weight matrices get no gradient.

    A flat loss alone is none: so are those of generators and of policies. Nor are gradients that have become small
    everywhere: that is an end. A loss of exactly zero says that there was nothing to learn from yet.

    Example:
        >>> stall, level = Stall(), LossLevel()
        >>> for step in range(512):
        ...     level.push(2.3 + 0.001 * (step % 3))
        ...     if stall.due(step) and stall.look(level, np.array([1e-9, 1e-8, 0.1]), np.array([True, True, False])):
        ...         print(step)
        352
    """

    KEPT: ClassVar[tuple[str, ...]] = (
        *("_norms", "_start", "_first", "_early", "_count", "_agreeing", "_told"),
        *("_last", "_lowest", "_at_look", "_cut_off"),
    )

    def __init__(self) -> None:
        self._first: deque[float] = deque(maxlen=8)
        self._early: deque[float] = deque(maxlen=8)
        self._last: deque[float] = deque(maxlen=8)
        self._lowest = float("inf")
        self._at_look: dict[str, float] = {}
        self._start: list[float] = []
        self._norms: list[float] = []
        self._count = 0
        self._agreeing = 0
        self._told = self._cut_off = False

    @property
    def first(self) -> float | None:
        """The very first loss."""
        return self._start[0] if self._start else None

    def due(self, step: int) -> bool:
        """Whether it wants to look at this step."""
        return not self._told and step >= FROM_STEP and step % EVERY == 0

    def begin(self, loss: float | None, norm: float | None = None) -> None:
        """Tell of the loss and the gradient norm of a step; what there was to fall from is what ends `BIASES` steps."""
        self._count += 1
        if norm is not None and len(self._norms) < 8:
            self._norms.append(norm)
        if loss is not None and math.isfinite(loss):
            self._last.append(loss)
            if len(self._last) == self._last.maxlen:
                self._lowest = min(self._lowest, median(self._last))
        if loss is not None and BIASES - 8 < self._count <= BIASES:
            self._first.append(loss)
        if loss is not None and len(self._start) < 8:
            self._start.append(loss)
        if loss is not None and IDLE_FROM - 8 < self._count <= IDLE_FROM:
            self._early.append(loss)

    def is_time_to_look(self) -> bool:
        """Whether this is one of the few steps at which a closer look may be taken."""
        return not self._told and self._count in LOOK_AT

    def looks_next(self) -> bool:
        """Whether the step after this one is among those at which a closer look may be taken."""
        return not self._told and self._count + 1 in LOOK_FROM_START

    def idle(self, level: LossLevel, *, least: float = LEARNED) -> bool:
        """Whether, at one of a few steps, the loss has not fallen since the first ones by `least` of itself.

        That alone is no fault: it is worth a look at what the gradient does.
        """
        if not self._start or not (self.flat(level, least=least) or self.rests(level)):
            return False
        start, now = median(self._start), level.level()
        now = level.best if now is None else now
        return start - now <= IDLE_FELL * abs(start) and start != 0.0

    def flat(self, level: LossLevel, *, least: float = LEARNED) -> bool:
        """Whether, at one of a few steps, it has not fallen since the early ones, wherever it had begun."""
        if not self.is_time_to_look() or not self._early or not level.known:
            return False
        early, now = median(self._early), level.level()
        now = level.best if now is None else now
        return early - now <= max(2.0 * level.noise(), least * abs(early))

    def rests(self, level: LossLevel) -> bool:
        """Whether, at one of a few steps, it has not fallen since half as many: it has learned what it will, or
        next to nothing."""
        half = self._at_look.get(str(self._count // 2)) if self.is_time_to_look() and level.known else None
        if half is None:
            return False
        now = level.level()
        now = level.best if now is None else now
        return half - now <= max(2.0 * level.noise(), LEARNED * abs(half))

    def cut_off(self, norms: np.ndarray, matrices: np.ndarray) -> bool:
        """Whether, at one of a few steps, at least half of the weight matrices have a gradient of zeros; said once.

        Parts that a script does not use are no fault, and have it at each of those steps.
        """
        if self._cut_off or not self.is_time_to_look():
            return False
        present = matrices & (norms >= 0)
        silent = present & (norms == 0)
        self._cut_off = bool(silent.sum() >= max(2, 0.5 * present.sum()) and norms.max(initial=0.0) > 0)
        return self._cut_off

    def idle_from_the_start(self, level: LossLevel) -> bool:
        """Whether, at one of the first steps, the loss has not fallen at all: as during a warm-up, so that is no word.

        It is worth asking whether the first pass was one that nothing can be learned from.
        """
        if not self.is_early_look() or not self._start or not level.known:
            return False
        start, now = median(self._start), level.level()
        now = level.best if now is None else now
        return start != 0.0 and start - now <= max(2.0 * level.noise(), LEARNED * abs(start))

    def never_fell(self) -> bool:
        """Whether the loss has never come down from the first ones by more than biases alone explain.

        The level forgets at a repair what was usual before; what the run has learned is not forgotten with it.
        """
        start = median(self._start) if self._start else 0.0
        return start - self._lowest <= IDLE_FELL * abs(start)

    def begun_anew(self) -> None:
        """The run is back at its first weights: what it had learned is gone."""
        self._last.clear()
        self._lowest = float("inf")

    def repaired(self) -> None:
        """Something was put right: where the loss was before says nothing of whether it rests now."""
        self._at_look.clear()

    def above_start(self, level: LossLevel) -> bool:
        """Whether, at one of a few steps, the loss lies far above where it began."""
        if self._told or self._count not in LOOK_FROM_START or len(self._start) < 2 or not level.known:
            return False
        now, first = level.level(), self._start[0]
        rise = 0.0 if now is None else now - first
        # A surrogate takes either sign, and its first value is one of many: how far others went below it, it may rise.
        lowest = min(self._start)
        if lowest < 0.0 and rise <= SWING * (first - lowest):
            return False
        # The noise of a run that has broken out is as large as its losses: then none of them is near the start.
        apart = rise > 4.0 * level.noise() or level.lowest_recent() > first + 0.5 * abs(first)
        return rise > ABOVE * abs(first) and apart

    def falls(self, level: LossLevel) -> bool:
        """Whether the loss has lost a good part of what it began with, whatever its size."""
        now = level.level() if level.known else None
        return now is not None and self.first is not None and self.first - now > FELL * abs(self.first)

    def bottomless(self, level: LossLevel, norm: float) -> bool:
        """Whether, at one of a few steps, the loss has fallen far below zero while gradients have grown as much."""
        now = level.level() if self.is_time_to_look() and level.known else None
        if now is None or not self._start or len(self._norms) < 8:
            return False
        size = max(1.0, *map(abs, self._start))
        half = self._at_look.get(str(self._count // 2))
        self._at_look[str(self._count)] = now
        grown = norm / median(self._norms) if median(self._norms) > 0 else 0.0
        # Along a parabola that opens downwards gradients grow as the root of the loss, and it falls ever faster.
        faster = half is not None and half - now > FASTER * (median(self._start) - half) > 0
        return now < -BOTTOMLESS * size and (grown > BOTTOMLESS or (faster and grown > BOTTOMLESS**0.5))

    def runs_away(self, level: LossLevel) -> bool:
        """Whether, at one of a few steps, the loss lies orders of magnitude above its start, and has grown as much as
        tenfold in the second half of the steps and in the half before: no task becomes harder like that."""
        half, quarter = (self._at_look.get(str(self._count // part), 0.0) for part in (2, 4))
        now = level.level() if self.is_time_to_look() and level.known else None
        if now is None or not self._start or not 0.0 < quarter < half / TENFOLD:
            return False
        return now > TENFOLD * half and now > FAR * max(map(abs, self._start))

    def is_early_look(self) -> bool:
        """Whether this is one of the first steps at which a closer look may be taken."""
        return not self._told and self._count in LOOK_EARLY

    def is_half_way(self) -> bool:
        """Whether this is the one half-way to the last of them."""
        return not self._told and 2 * self._count == max(LOOK_EARLY)

    def is_last_early_look(self) -> bool:
        """Whether this is the last of them."""
        return not self._told and self._count == max(LOOK_EARLY)

    def is_falling(self, level: LossLevel) -> bool:
        """Whether, at an early look that is not the last, the loss has lost a good part of itself by then."""
        now = level.level()
        if not self._start or now is None or self._count >= max(LOOK_EARLY):
            return False
        return 0.0 < now < min(FALLING * median(self._start), REACH * LOUD)

    def loud(self, level: LossLevel) -> bool:
        """Whether, at one of a few steps, the loss is above what a guess has among more classes than anybody has."""
        if not self.is_early_look() or not self._start or not level.known:
            return False
        now = level.level()
        return self._start[0] > LOUD and now is not None and now > LOUD

    def told(self) -> None:
        """It has been said; once is enough."""
        self._told = True

    def look(self, level: LossLevel, norms: np.ndarray, matrices: np.ndarray) -> list[int]:
        """Look at the gradients' norms.

        Args:
            level: the losses so far.
            norms: the norm of every tensor's gradient, negative where it has none.
            matrices: which of the tensors are weight matrices.

        Returns:
            The places of the matrices that get no gradient if the run is stalled, once; else nothing.
        """
        first = median(self._first) if self._first else level.first
        if first is None or first == 0.0 or not level.known:
            return []
        largest = float(norms.max(initial=0.0))
        present = matrices & (norms >= 0)
        unreached = np.flatnonzero(present & (norms < UNREACHED * largest))
        now = level.level()
        learned = first - (level.best if now is None else now) > max(2.0 * level.noise(), LEARNED * abs(first))
        stuck = largest > 0.0 and present.sum() >= 2 and len(unreached) >= 0.5 * present.sum()
        self._agreeing = self._agreeing + 1 if stuck and not learned else 0
        self._told = self._agreeing >= LOOKS
        return list(map(int, unreached)) if self._told else []
