"""Gradients pile up from step to step.

Without `zero_grad` each backward pass adds to what is there: the step goes along the sum of all gradients so far, like
a momentum of 1 that never forgets.

Seen in: gradients of the step before that still lie there when the next backward pass begins.

Remedies: zero-grad-before-backward.

Reference: torch documentation, `torch.optim.Optimizer.zero_grad`.
"""

from collections.abc import Iterator, Sequence
from itertools import takewhile

from ..._i18n import say
from ...findings import Finding
from ..case import Case

CAUSE = "missing-zero-grad"

WHOLE = 0.9
"""Share of the last gradient that lies there."""

TIMES = 2
"""How often it must, at half of the passes that were looked at or more."""

IN_A_ROW = 3
"""How often at the last ones, if there were others before: a script may begin to forget it late."""


def missing_zero_grad(case: Case) -> Iterator[Finding]:
    """By the gradients themselves."""
    for each in case.symptoms:
        carried = list(each.get("carried", ()))
        whole = [value for value in carried if WHOLE < value < 1.5]
        if (len(whole) >= TIMES and len(whole) >= len(carried) / 2) or _last_in_a_row(carried) >= IN_A_ROW:
            yield Finding(
                CAUSE,
                0.97,
                "optimizer.zero_grad",
                say(
                    "when a backward pass begins, {share:.0%} of the last step's gradient still lies there: they pile "
                    "up from step to step",
                    share=whole[-1],
                ),
                {"carried": whole[-1], "seen": len(whole)},
                ("zero-grad-before-backward",),
                case.onset,
            )
            return


def _last_in_a_row(carried: Sequence[float]) -> int:
    return sum(1 for _ in takewhile(lambda value: WHOLE < value < 1.5, reversed(carried)))
