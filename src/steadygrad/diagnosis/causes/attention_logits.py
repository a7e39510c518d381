"""Query-key logits grow until softmax saturates or diverges.

Softmax of logits that lie far apart is one-hot: its derivative is zero almost everywhere and large where it is not, and
queries and keys go on growing.

Seen in: entropy and spread of the attention logits, at the start and at the onset.

Remedies: qk-norm, divide-logits-by-sqrt-d, rescale-query-key-weights.

Reference: Wortsman et al., "Small-scale proxies for large-scale Transformer training instabilities", 2023.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.attention import attention
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
    yield from (weighed(each, GROWN) for each in case.at_onset(attention, CAUSE))
