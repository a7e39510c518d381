"""What a script has done to its learning rate by the onset."""

import numpy as np

from .case import Case

JUMP = 3.0
"""How far above every harmless rate before it a rate must be to be called a jump."""

CLIMBS = 3.0
"""Times the rate at half of the steps before it, that one has to be to climb: on a straight line it is twice that."""

RISEN = 5.0
"""Times its first value that a rate has reached, and goes on rising, where a warm-up leads beyond what is stable."""

LONG = 64
"""Steps from which that is no matter of the first few."""

SHORTLY = 8
"""Steps over which a rate that rises has risen."""


def climb(case: Case) -> tuple[float, float] | None:
    """By what the rate of the onset is above that half-way, and it, if it has gone up faster than any warm-up: those
    are straight lines, or bend down."""
    rates = case.steps.lr[case.steps.step <= case.onset]
    if len(rates) < LONG or not np.isfinite(rates).all():
        return None
    rate, half = float(rates[-1]), float(rates[len(rates) // 2])
    return (rate / half, rate) if half > 0 and rate > CLIMBS * half and rate >= rates.max() else None


def rises(case: Case) -> bool:
    """Whether the rate of the onset is the highest so far, many times the first one, and above those shortly before."""
    rates = case.steps.lr[case.steps.step <= case.onset]
    if len(rates) <= SHORTLY or not np.isfinite(rates).all():
        return False
    rate = float(rates[-1])
    return rate >= rates.max() and rate > RISEN * float(rates[0]) > 0 and rate > float(rates[-1 - SHORTLY])


def jump(case: Case) -> tuple[float, float, float] | None:
    """By what factor the rate at the onset is above those of the steps before it, but for the last few, if it is a
    jump; and both."""
    steps = case.steps
    known = np.isfinite(steps.lr) & (steps.lr > 0)
    at = steps.lr[known & (steps.step <= case.onset) & (steps.step >= case.onset - 4)]
    before = steps.lr[known & (steps.step < case.onset - 4)]
    if not len(at) or len(before) < 8:
        return None
    rate, highest = float(at.max()), float(before.max())
    return (rate / highest, rate, highest) if rate > JUMP * highest else None
