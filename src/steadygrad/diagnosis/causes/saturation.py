"""Sigmoids and tanhs pinned at their ends.

Where a sigmoid is 0 or 1, and a tanh -1 or 1, the derivative is zero: nothing is learned through it.

Seen in: the share of outputs at the ends of bounded nonlinearities.

Remedies: rescale-initialisation, standardise-inputs.

Reference: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.units import units
from ..case import Case

CAUSE = "saturation"


def saturation(case: Case) -> Iterator[Finding]:
    """By the activations of the first pass."""
    yield from case.static(units, CAUSE)
