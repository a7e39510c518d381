"""NaN or Inf in inputs or targets.

One NaN in a batch makes the loss NaN, its gradient, and after one step every weight.

Seen in: the batch of the first pass that is not finite.

Remedies: drop-or-impute-nonfinite-samples.

Reference: Goodfellow, Bengio and Courville, "Deep learning", 2016, section 11.5.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..._i18n import say
from ...findings import Finding
from ...rules.nonfinite import nonfinite
from ..case import ONSET, Case

CAUSE = "nonfinite-data"


def nonfinite_data(case: Case) -> Iterator[Finding]:
    """By the batch itself."""
    look = case.broken
    if look is not None:
        yield from (replace(each, step=look.step) for each in case.ask(nonfinite, CAUSE, look.evidence, ONSET))
    elif case.lonely:
        yield Finding(
            CAUSE,
            0.2 if case.fails_backwards else 0.4,
            "batch",
            say(
                "step {step} is not finite and those before it were calm: something in its batch, or an operation that "
                "its batch hits",
                step=case.onset,
            ),
            {},
            ("drop-or-impute-nonfinite-samples",),
            case.onset,
        )
