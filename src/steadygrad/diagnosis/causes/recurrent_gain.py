"""The recurrent Jacobian product expands over time steps.

A recurrent net multiplies its state by the same matrix at every step: if a perturbation grows by 5 % a step, over 200
steps it is a factor of 17,000, and so is the gradient on its way back.

Seen in: the leading Lyapunov exponent of the recurrent layer, and the gradient by time step; of a pass that is not
finite, how what the same weights multiply has grown until then; where no recurrence can be looked into (a scripted
one), a loss that grows from each time step to the next.

Remedies: orthogonal-recurrent-init, clip-global-norm, gradient-flossing.

Reference: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
"""

import itertools
import math
import statistics
from collections.abc import Iterator

from ..._i18n import say
from ...findings import Finding
from ...rules.recurrent import recurrent
from ..case import ALIKE, FIRST, Case

CAUSE = "recurrent-gain"


REPEATS = 8
"""Times in a row that the same weights have made something larger, from which it is a recurrence that grows."""

IN_A_ROW = 8
"""Rows at the end, each with a larger loss than the one before it, that are no chance."""

GROWS = (1.1, 30.0)
"""By how many times at least and at most: the squares of a state that grows by a twentieth to fivefold a step."""

OVERFLOWS = 40.0
"""Nats by which it has grown before it is not finite: what a few layers amplify grows by less."""


def recurrent_gain(case: Case) -> Iterator[Finding]:
    """By the exponents of the first pass; of one that is not finite by how its state has grown until it was not."""
    yield from case.static(recurrent, CAUSE)
    yield from _along_the_rows(case)
    broken = None if case.broken is None else case.broken.evidence.origin
    if broken is None or broken.repeats < REPEATS or broken.growth < OVERFLOWS:
        return
    yield Finding(
        CAUSE,
        0.93,
        broken.where or broken.op,
        say(
            "{operation} makes {times} powers of one number in a row, as of a state that is multiplied at each step, "
            "up to exp({nats:.3g}), and is not finite from there on",
            times=broken.repeats,
            nats=broken.growth,
            operation=broken.op,
        )
        if broken.powers
        else say(
            "what the same weights multiply again and again grows {times} times in a row, by exp({nats:.3g}) in all, "
            "until {operation} is not finite",
            times=broken.repeats,
            nats=broken.growth,
            operation=broken.op,
        ),
        {
            "repeats": broken.repeats,
            "growth": broken.growth,
            "line": broken.line and f"{broken.line[0]}:{broken.line[1]}",
        },
        ("orthogonal-recurrent-init", "clip-global-norm", "gradient-flossing"),
        case.onset,
    )


def _along_the_rows(case: Case) -> Iterator[Finding]:
    """By the losses of the first pass, where time is its first dimension: independent samples have no such order."""
    look = case.first
    if look is None or look.step > ALIKE or look.evidence.recurrences or len(look.worst) < IN_A_ROW:
        return
    count = look.evidence.rows or 0
    rows, losses = zip(*look.worst[:IN_A_ROW], strict=True)
    times = [larger / smaller if smaller > 0 else math.inf for larger, smaller in itertools.pairwise(losses)]
    in_order = list(rows) == list(range(count - 1, count - 1 - IN_A_ROW, -1))
    if not in_order or not all(GROWS[0] < each < GROWS[1] for each in times):
        return
    growth = statistics.geometric_mean(times)
    yield Finding(
        CAUSE,
        0.92,
        "loss",
        say(
            "the loss of each of the last {count} time steps is about {times:.3g} times that of the one before it, "
            "with the first weights",
            count=IN_A_ROW,
            times=growth,
        ),
        {"growth_per_step": growth, "rows": count, "seen_in": FIRST},
        ("orthogonal-recurrent-init", "clip-global-norm", "gradient-flossing"),
        case.onset,
    )
