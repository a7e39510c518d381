"""A reduced-precision range is exceeded.

float16 ends at 65504: a sum over many features, a square, a mask of -1e9 or a loss that was scaled too much leaves it
and is infinite.

Seen in: float16 operations with an infinite result of finite numbers, and activations near the end of the range.

Remedies: bfloat16, float32-for-this-operation, float32-for-this-layer, loss-scaling, rescale-initialisation.

Reference: Micikevicius et al., "Mixed precision training", 2018.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.half import half
from ..case import Case

CAUSE = "half-overflow"


def half_overflow(case: Case) -> Iterator[Finding]:
    """By the operations in float16, at the start or at the onset."""
    found = case.at_start(half, CAUSE) or case.at_onset(half, CAUSE)
    yield from found
