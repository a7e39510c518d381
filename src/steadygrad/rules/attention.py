"""Attention that looks at one place only, before it has learned where to look."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..findings import Finding, Measurement

SHARP = 0.25
"""Entropy of the weights against that of looking everywhere alike, below which softmax passes next to no gradient."""

SPREAD = 15.0
"""Difference of two logits of one query: exp(-15) is nothing."""


def attention(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`attention-logits` if the weights are nearly one-hot at the start because logits are large."""
    # What is NaN says that something was broken before: nothing of how sharp it is.
    seen = [each for each in evidence.base.attentions if not math.isnan(each.relative_entropy)]
    if not seen:
        return
    worst = min(seen, key=lambda each: each.relative_entropy)
    sharp = worst.relative_entropy < SHARP and not worst.spread <= SPREAD
    yield Measurement(
        say("relative entropy of attention"),
        worst.layer,
        worst.relative_entropy,
        say("at least {limit:g}", limit=SHARP),
        say("a softmax that is one-hot has no derivative"),
        sharp,
    )
    if sharp:
        yield Finding(
            "attention-logits",
            0.9,
            worst.layer,
            say(
                "attention after {layer} is nearly one-hot: logits of one query lie up to {spread:.3g} apart, the "
                "entropy is {entropy:.0%} of that of looking everywhere alike",
                layer=worst.layer,
                spread=worst.spread,
                entropy=worst.relative_entropy,
            ),
            {"relative_entropy": worst.relative_entropy, "logit_spread": worst.spread},
            ("divide-logits-by-sqrt-d", "qk-norm", "rescale-query-key-weights", "rescale-initialisation"),
        )
