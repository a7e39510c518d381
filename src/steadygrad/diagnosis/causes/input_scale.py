"""Features are not normalised.

Initial weights are made for inputs of about unit size. Raw pixels, prices or pressures multiply every first-layer
gradient by their size, squared; one feature that is far larger than the others decides every step.

Seen in: the size of each input, and what standardised inputs make of the same pass with the same weights.

Remedies: standardise-inputs, input-batchnorm.

Reference: LeCun et al., "Efficient backprop", 1998.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.data import data
from ..case import Case

CAUSE = "input-scale"


def input_scale(case: Case) -> Iterator[Finding]:
    """By what standardising the inputs changes in the first pass."""
    yield from case.static(data, CAUSE)
