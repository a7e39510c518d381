"""The recurrent Jacobian product expands over time steps.

A recurrent net multiplies its state by the same matrix at every step: if a perturbation grows by 5 % a step, over 200
steps it is a factor of 17,000, and so is the gradient on its way back.

Seen in: the leading Lyapunov exponent of the recurrent layer, and the gradient by time step; of a pass that is not
finite, how what the same weights multiply has grown until then.

Remedies: orthogonal-recurrent-init, clip-global-norm, gradient-flossing.

Reference: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
"""

from collections.abc import Iterator

from ..._i18n import say
from ...findings import Finding
from ...rules.recurrent import recurrent
from ..case import Case

CAUSE = "recurrent-gain"


REPEATS = 8
"""Times in a row that the same weights have made something larger, from which it is a recurrence that grows."""

OVERFLOWS = 40.0
"""Nats by which it has grown before it is not finite: what a few layers amplify grows by less."""


def recurrent_gain(case: Case) -> Iterator[Finding]:
    """By the exponents of the first pass; of one that is not finite by how its state has grown until it was not."""
    yield from case.static(recurrent, CAUSE)
    broken = None if case.broken is None else case.broken.evidence.origin
    if broken is None or broken.repeats < REPEATS or broken.growth < OVERFLOWS:
        return
    yield Finding(
        CAUSE,
        0.93,
        broken.where or broken.op,
        say(
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
