"""Summed loss, huge targets, accumulation not averaged.

A loss summed over the batch has a gradient that is as many times larger as the batch has samples; targets in the
thousands make errors in the thousands. Either multiplies the learning rate.

Seen in: the loss of the batch with each sample twice, the reduction of torch's own losses, and what standardised
targets make of the same pass.

Reference: Goyal et al., "Accurate, large minibatch SGD", 2017.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.loss_scale import loss_scale as rule
from ..case import Case

CAUSE = "loss-scale"


def loss_scale(case: Case) -> Iterator[Finding]:
    """By the first pass with twice the samples, or with other targets."""
    yield from case.static(rule, CAUSE)
