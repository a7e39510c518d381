"""An operation whose value or derivative is non-finite where training goes.

log 0, sqrt 0, 0/0, the norm at 0, acos 1: each has a value or a derivative that is infinite or NaN, of numbers that are
small and finite. It waits until a batch comes by that hits the place.

Seen in: the first operation, forward or backward, that makes what is not finite of finite numbers of usual size.

Remedies: add-epsilon-inside-the-operation, use-the-stable-form.

Reference: Higham, "Accuracy and stability of numerical algorithms", 2002.
"""

import math
from collections.abc import Iterator
from dataclasses import replace

from ..._i18n import say
from ...findings import Finding
from ...rules.nonfinite import nonfinite
from ..case import ONSET, Case, nats, usual

CAUSE = "unsafe-op"

GROWN = 4.0
"""Nats by which gradients had grown before, from which it is no lonely operation that fails."""

BURST = 1e6
"""Times the loss of the first pass, above which what is not finite is no matter of one operation."""


def unsafe_op(case: Case) -> Iterator[Finding]:
    """By the origin of what is not finite, if nothing had grown before it."""
    look = case.broken
    if look is None:
        if case.lonely:
            backwards = case.fails_backwards
            yield Finding(
                CAUSE,
                0.6 if backwards else 0.35,
                "loss",
                say(
                    "the loss of step {step} is finite and its gradient is not: an operation whose slope is infinite "
                    "where its value is not, as that of a root at 0",
                    step=case.onset,
                )
                if backwards
                else say(
                    "step {step} is not finite and those before it were calm: something in its batch, or an operation "
                    "that its batch hits",
                    step=case.onset,
                ),
                {},
                ("add-epsilon-inside-the-operation", "use-the-stable-form"),
                case.onset,
            )
        return
    grown = _grown(case)
    for each in case.ask(nonfinite, CAUSE, look.evidence, ONSET):
        origin = look.evidence.origin
        where = each.where
        evidence = dict(each.evidence)
        if origin is not None and origin.line is not None:
            evidence["line"] = f"{origin.line[0]}:{origin.line[1]}"
        certainty = 1.0 if grown < GROWN and not _has_burst(case) else 0.5
        yield replace(each, step=look.step, where=where, evidence=evidence, confidence=each.confidence * certainty)


def _has_burst(case: Case) -> bool:
    """Whether the loss was finite, and had come up out of all proportion by then."""
    if case.start is None or case.broken is None or not math.isfinite(case.broken.evidence.base.loss):
        return False
    return abs(case.broken.evidence.base.loss) > BURST * max(1.0, abs(case.start.base.loss))


def _grown(case: Case) -> float:
    """Nats between the usual gradient and the last ones before the onset."""
    norms = case.before("grad_norm")
    if len(norms) < 8:
        return 0.0
    level, last = usual(norms[:-3]), float(norms[-3:].max())
    return nats(last / level) if level else 0.0
