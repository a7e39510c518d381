"""Query-key logits grow until softmax saturates or diverges.

Softmax of logits that lie far apart is one-hot: its derivative is zero almost everywhere and large where it is not, and
queries and keys go on growing.

Seen in: entropy and spread of the attention logits, at the start and at the onset.

Remedies: qk-norm, divide-logits-by-sqrt-d, rescale-query-key-weights.

Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities", 2023.
"""

from collections.abc import Iterator

from ..._i18n import say
from ...findings import Finding
from ...rules.attention import SPREAD, attention
from ..case import Case, weighed

CAUSE = "attention-logits"

GROWN = 0.85
"""Confidence in logits that have become sharp during the training: that is how this fault comes about."""


def attention_logits(case: Case) -> Iterator[Finding]:
    """By the focus of attention."""
    at_start = case.at_start(attention, CAUSE)
    if at_start:
        yield from at_start
        return
    seen = () if case.start is None else case.start.base.attentions
    widest = max(seen, key=lambda each: each.spread, default=None)
    if widest is not None and widest.spread > SPREAD and not case.stalled:
        yield Finding(
            CAUSE,
            0.78,
            widest.layer,
            say(
                "logits of one query lie {spread:.3g} apart in the first pass, where scaled ones lie a few: they grew "
                "from there",
                spread=widest.spread,
            ),
            {"logit_spread": widest.spread, "relative_entropy": widest.relative_entropy},
            ("divide-logits-by-sqrt-d", "qk-norm", "rescale-query-key-weights"),
            case.onset,
        )
        return
    yield from (weighed(each, GROWN) for each in case.at_onset(attention, CAUSE))
