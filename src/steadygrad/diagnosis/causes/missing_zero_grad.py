"""Gradients pile up from step to step.

Without `zero_grad` each backward pass adds to what is there: the step goes along the sum of all gradients so far, like
a momentum of 1 that never forgets.

Seen in: gradients of the step before that still lie there when the next backward pass begins.

Remedies: zero-grad-before-backward.

Reference: torch documentation, `torch.optim.Optimizer.zero_grad`.
"""

from collections.abc import Iterator

from ..._i18n import say
from ...findings import Finding
from ..case import Case

CAUSE = "missing-zero-grad"

WHOLE = 0.9
"""Share of the last gradient that lies there."""

TIMES = 2
"""How often it must."""


def missing_zero_grad(case: Case) -> Iterator[Finding]:
    """By the gradients themselves."""
    carried = [value for each in case.symptoms[:1] for value in each.get("carried", ())]
    whole = [value for value in carried if WHOLE < value < 1.5]
    if len(whole) >= TIMES and len(whole) >= len(carried) / 2:
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
