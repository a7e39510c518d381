"""Summed loss, huge targets, accumulation not averaged, a weight of the loss that grows.

A loss summed over the batch has a gradient that is as many times larger as the batch has samples; targets in the
thousands make errors in the thousands. Either multiplies the learning rate.

Seen in: the loss of the batch with each sample twice, the reduction of torch's own losses, what standardised targets
make of the same pass, and what the script multiplies most of its loss by, then and now.

Remedies: mean-reduction, divide-learning-rate-by-batch-size, standardise-targets, divide-loss-by-accumulation-steps,
clip-global-norm, lower-learning-rate.

Reference: Goyal et al., "Accurate, large minibatch SGD", 2017.
"""

from collections.abc import Iterator

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ...rules.loss_scale import loss_scale as rule
from ..case import ONSET, SCAR, Case, weighed
from ..otherwise import multiplied

CAUSE = "loss-scale"

REACHED = 0.1
"""The part of the first loss to which it has fallen where targets were not out of reach."""


def loss_scale(case: Case) -> Iterator[Finding]:
    """By the first pass with twice the samples, or with other targets."""
    for each in case.static(rule, CAUSE):
        # No sum makes steps longer that are divided by the size of gradients.
        summed = each.evidence.get("reduction") == "sum" and case.divides_by_squares
        yield weighed(each, SCAR) if summed or ("reach" in each.evidence and _has_reached(case)) else each
    yield from _accumulated(case)
    yield from _multiplied(case)


def _accumulated(case: Case) -> Iterator[Finding]:
    """Several passes a step whose losses are not divided by their number: one of them would be within the limit."""
    passes = max((int(each.get("backward_passes", 1)) for each in case.symptoms), default=1)
    if passes < 2:
        return
    start = case.start
    edge = None if start is None else start.edge
    numbers = {number for look in case.looks for number in look.numbers}
    divided = any(abs(number - factor) < 1e-6 * factor for number in numbers for factor in (passes, 1 / passes))
    one = None if edge is None else edge.ratio * _raised(case)
    harmless = start is not None and bool(start.rehearsals) and not start.rehearsals[0].diverged
    if harmless and not divided and (one is None or one >= 1.0):
        yield Finding(
            CAUSE,
            0.75,
            "loss",
            say(
                "the gradients of {passes} passes are summed for each step, and their losses are not divided by "
                "{passes}: steps along one of them do no harm",
                passes=passes,
            ),
            {"passes": passes},
            ("divide-loss-by-accumulation-steps", "lower-learning-rate"),
            case.onset,
        )
        return
    # Sharpness may rise for a few steps before the steps are too long for it.
    known = [one, *(look.evidence.edge.ratio for look in case.looks[:1] if look.evidence.edge is not None)]
    one = next((each for each in known if each is not None and each < 1.0 < passes * each), None)
    if one is None or divided:
        return
    yield Finding(
        CAUSE,
        0.85,
        "loss",
        say(
            "the gradients of {passes} passes are summed for each step, and their losses are not divided by {passes}: "
            "sharpness is {one:.2g} of the limit for one pass, {all:.2g} for all",
            passes=passes,
            one=one,
            all=passes * one,
        ),
        {"passes": passes, "sharpness_ratio": one},
        ("divide-loss-by-accumulation-steps", "lower-learning-rate"),
        case.onset,
    )


def _multiplied(case: Case) -> Iterator[Finding]:
    """A weight of the loss that the script has raised, where steps are longer for it."""
    if CAUSE not in case.changes or case.start is None or case.first is None:
        return
    found = multiplied(case.start, case.first.evidence)
    if found is None:
        return
    yield Finding(
        CAUSE,
        0.9,
        "loss",
        say(
            "the script multiplies {term}, most of the loss, by {now:.3g}, and in the first pass by {first:.3g}: steps "
            "that grow with the gradient are as much longer",
            term=found.name,
            now=found.now,
            first=found.first,
        ),
        {"factor": found.now, "first_factor": found.first, "times": found.times, "seen_in": ONSET, "anew": True},
        ("clip-global-norm", "lower-learning-rate"),
        case.onset,
    )


def _has_reached(case: Case) -> bool:
    """Whether the loss has come down by the onset to a small part of what it began with."""
    losses = case.before("loss")
    first = case.steps.loss[case.steps.loss_known][:1]
    return bool(len(losses) >= 8 and len(first) and float(np.median(losses[-8:])) < REACHED * abs(float(first[0])))


def _raised(case: Case) -> float:
    """By how much the rate had been raised by the onset since the first pass, as by a warm-up."""
    rates = case.steps.lr[case.steps.step <= case.onset]
    return float(rates.max() / rates[0]) if len(rates) and rates[0] > 0 and np.isfinite(rates).all() else 1.0
