"""An operation whose value or derivative is non-finite where training goes.

log 0, sqrt 0, 0/0, the norm at 0, acos 1: each has a value or a derivative that is infinite or NaN, of numbers that are
small and finite. It waits until a batch comes by that hits the place.

Seen in: the first operation, forward or backward, that makes what is not finite of finite numbers of usual size.

Remedies: add-epsilon-inside-the-operation, use-the-stable-form.

Reference: Higham, "Accuracy and stability of numerical algorithms", 2002.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..._i18n import say
from ...findings import Finding
from ...rules.nonfinite import nonfinite
from ..case import ONSET, Case

CAUSE = "unsafe-op"


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
    for each in case.ask(nonfinite, CAUSE, look.evidence, ONSET):
        origin = look.evidence.origin
        where = each.where
        evidence = dict(each.evidence)
        if origin is not None and origin.line is not None:
            evidence["line"] = f"{origin.line[0]}:{origin.line[1]}"
        certainty = 1.0 if case.calm else 0.5
        yield replace(each, step=look.step, where=where, evidence=evidence, confidence=each.confidence * certainty)
