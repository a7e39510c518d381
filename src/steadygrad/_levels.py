"""Levels of a loss, and whether a run is back at its level after an incident. Losses may be negative, tiny or noisy."""

import math
from dataclasses import dataclass

import numpy as np

RECENT = 8
"""Losses whose median is "the level now"."""

HISTORY = 64
"""Losses before an incident from which the noise is measured."""


@dataclass(frozen=True, slots=True)
class Recovery:
    """Whether the loss came back: the level before, the level after, and the highest level that counts as back."""

    before: float
    after: float
    allowed: float

    @property
    def holds(self) -> bool:
        """Whether the run is back."""
        return self.after <= self.allowed


def recovery(
    before: np.ndarray, after: np.ndarray, start: float | None = None, *, from_best: bool = False
) -> Recovery | None:
    r"""Compare the losses before an incident with those at the end.

    Back means: the median of the last 8 is at most the median of the 8 before the incident plus the larger of a
    tenth of the progress made until then and three median absolute deviations of the losses before it. Losses above
    twice the first are damage already, and neither a level nor noise.

    Args:
        before: losses up to the incident, oldest first; non-finite ones are passed over.
        after: losses since the incident, oldest first.
        start: the first loss of the run, for the progress; the first of `before` by default.
        from_best: the level before is the best, not the last: for a loss that has drifted away step by step.

    Returns:
        The comparison, or None when one side has no finite loss.

    Example:
        >>> recovery(np.array([2.0, 1.5, 1.2, 1.0]), np.array([1.1, 0.9])).holds
        True
        >>> recovery(np.array([2.0, 1.5, 1.2, 1.0]), np.array([5.0, 7.0])).holds
        False
    """
    before, after = before[np.isfinite(before)], after[np.isfinite(after)]
    if not len(before) or not len(after):
        return None
    first = float(before[0]) if start is None or not math.isfinite(start) else start
    sound = before[before <= first + abs(first)]
    before = sound if len(sound) else np.array([first])
    level = min(float(np.median(before[-RECENT:])), first)
    if from_best and len(before) >= RECENT:
        level = min(level, float(np.median(np.lib.stride_tricks.sliding_window_view(before, RECENT), axis=1).min()))
    progress = max(0.0, first - level)
    history = before[-HISTORY:]
    noise = float(np.median(np.abs(history - np.median(history)))) if len(history) > 1 else 0.0
    return Recovery(level, float(np.median(after[-RECENT:])), level + max(0.1 * progress, 3 * noise))
