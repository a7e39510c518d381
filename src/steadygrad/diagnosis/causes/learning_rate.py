"""The step is beyond the stability limit.

Along the sharpest direction of the loss a step of length lr overshoots once sharpness times lr exceeds 2 (for Adam, the
preconditioned form): the loss swings with growing amplitude.

Seen in: sharpness against the limit of the optimizer, and a few real steps on one batch, which make its loss worse at
this rate and better at a tenth of it; with the first weights, or with those of the onset where it was raised later.

Remedies: lower-learning-rate, warm-up, clip-global-norm.

Reference: Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
"""

from collections.abc import Iterator

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ...rules.learning_rate import learning_rate as rule
from ..case import Case, weighed
from .weight_growth import bottomless

CAUSE = "learning-rate"

FAR = 4.0
"""Ratio of sharpness to its limit that no training at the edge of stability reaches by itself."""

LAGS = 10.0
"""Times that gradients are larger than the second moment expects."""

RAISED = 2.0
"""Factor from which a rate is called raised."""

JUMP = 3.0
"""How far above every harmless rate before it a rate must be to be called a jump."""


def learning_rate(case: Case) -> Iterator[Finding]:
    """By sharpness and steps, at the start and at the onset; by a rate that had just been raised."""
    if next(bottomless(case), None) is not None:
        return  # along a loss without a minimum any rate is too large in the end
    at_start = case.at_start(rule, CAUSE)
    at_onset = case.at_onset(rule, CAUSE)
    jump = _jump(case)
    crossed = _crossed(case)
    if at_start:
        yield from at_start
    elif at_onset:
        raised = jump is not None and jump[0] > JUMP
        # Where gradients have outgrown the second moment every rate is too large, until it has learned of them.
        stale = case.rescaled and _lag(case) > LAGS
        certainty = 0.5 if stale else 1.0 if raised or case.start is None else 0.8
        yield from (weighed(each, certainty) for each in at_onset)
    elif crossed is not None:
        yield crossed
    if jump is not None and jump[0] > JUMP and not (at_start or at_onset or crossed):
        factor, rate, before = jump
        yield Finding(
            CAUSE,
            0.7,
            f"optimizer {case.optimizer}",
            say(
                "the learning rate had risen to {rate:.3g}, {factor:.3g} times the highest one that had done no harm",
                rate=rate,
                factor=factor,
            ),
            {"lr": rate, "highest_before": before},
            ("lower-learning-rate", "warm-up", "clip-global-norm"),
            case.onset,
        )


def _lag(case: Case) -> float:
    seen = case.symptoms[0].get("second_moment_ratio", {}) if case.symptoms else {}
    return float(seen.get("largest") or 0.0)


def _crossed(case: Case) -> Finding | None:
    """Sharpness that was bearable at the first rate, and is far beyond the limit at the one of the onset."""
    first, look = case.start, case.first
    if first is None or first.edge is None or look is None or look.evidence.edge is None:
        return None
    before, now = first.edge, look.evidence.edge
    if not now.ratio > FAR or not before.ratio < 1.0:
        return None
    raised = now.lr / before.lr if before.lr else 1.0
    return Finding(
        CAUSE,
        0.85 if raised > RAISED else 0.55,
        f"optimizer {case.optimizer}",
        say(
            "sharpness is {ratio:.3g} times what {formula} bears at a rate of {lr:.3g}; with the first weights and "
            "rate of {first_lr:.3g} it was {first_ratio:.3g} times",
            ratio=now.ratio,
            formula=now.formula,
            lr=now.lr,
            first_lr=before.lr,
            first_ratio=before.ratio,
        ),
        {"sharpness_ratio": now.ratio, "lr": now.lr, "first_lr": before.lr, "first_sharpness_ratio": before.ratio},
        ("lower-learning-rate", "warm-up", "clip-global-norm"),
        case.onset,
    )


def _jump(case: Case) -> tuple[float, float, float] | None:
    """By what factor the rate at the onset is above those of the steps before it, but for the last few."""
    steps = case.steps
    known = np.isfinite(steps.lr) & (steps.lr > 0)
    at = steps.lr[known & (steps.step <= case.onset) & (steps.step >= case.onset - 4)]
    before = steps.lr[known & (steps.step < case.onset - 4)]
    if not len(at) or len(before) < 8:
        return None
    rate, highest = float(at.max()), float(before.max())
    return rate / highest, rate, highest
