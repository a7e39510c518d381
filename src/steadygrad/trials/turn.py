"""A step from which on the task is another: its loss is lifted there whatever is changed, and stays up."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from .series import ABOVE, NOISE, Series
from .trial import Trial

BEFORE = 16
"""Losses before such a step that say what was usual."""

AFTER = 8
"""Losses from it on that have to be above all of those."""

FEWEST = 3
"""Runs that have to be lifted there, each by other weights: one that explodes does so at a step of its own."""


def turn(controls: Sequence[Trial], trials: Sequence[Trial]) -> int | None:
    """The first step at which every run that comes so far is lifted; None if there is none.

    Args:
        controls: runs without a change.
        trials: runs with one each. What has found nothing to change is a control.
    """
    several = [*controls[:1], *(each for each in trials if not each.did_nothing and not each.error)]
    lifted = [(each.series, _lifts(each.series)) for each in several]
    for step in sorted(set.union(set(), *(steps for _, steps in lifted))):
        there = [(series, steps) for series, steps in lifted if _is_finite(series, step)]
        before = {tuple(series.losses[max(0, step - BEFORE) : step]) for series, _ in there}
        if len(before) >= FEWEST and all(step in steps for _, steps in there):
            return step
    return None


@dataclass(frozen=True)
class Since:
    """A run from such a step on, beside others that say how noisy the new task is."""

    series: Series
    noise: float

    @classmethod
    def all(cls, several: Sequence[Series], step: int) -> "list[Since]":
        """All of them; the calmest knows what is noise, in the others it is mixed with what is wrong."""
        cut = [Series(each.losses[step:]) for each in several]
        return [cls(each, min((other.noise for other in cut if len(other.known) > AFTER), default=0.0)) for each in cut]

    @property
    def level(self) -> float:
        """What the new task begins at, before anything is learned of it."""
        return abs(self.series.start) + NOISE * self.noise

    @property
    def holds(self) -> bool:
        """Whether the run ends at that level, or below."""
        return self.series.end <= self.series.start + ABOVE * abs(self.series.start) + NOISE * self.noise

    @property
    def thrown(self) -> float:
        """The largest median of five losses in a row, in units of that level; infinite if one was not finite."""
        return self.series.worst / max(self.level, 1e-30)


def _is_finite(series: Series, step: int) -> bool:
    near = series.losses[max(0, step - BEFORE) : step + AFTER]
    return len(near) == min(step, BEFORE) + AFTER and all(each is not None and math.isfinite(each) for each in near)


def _lifts(series: Series) -> set[int]:
    """Every step from which on losses lie far above all of those before."""
    found = set()
    for step in range(BEFORE, len(series.losses) - AFTER + 1):
        if not _is_finite(series, step):
            continue
        known = [float(each) for each in series.losses[step - BEFORE : step + AFTER] if each is not None]
        before, after = known[:BEFORE], known[BEFORE:]
        gap = min(after) - max(before)
        if gap > NOISE * (max(before) - min(before)) and gap > ABOVE * max(map(abs, before)):
            found.add(step)
    return found
