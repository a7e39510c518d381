"""The gradient dies with depth.

Each layer passes on a part of the gradient; after many of them nothing is left, and the first layers stay as they were.

Seen in: the gradient of the first layers against that of the last ones, in the first pass.

Remedies: auto-initialisation, residual-connections, normalisation.

Reference: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.depth import depth, fading
from ..case import Case

CAUSE = "vanishing-depth"


def vanishing_depth(case: Case) -> Iterator[Finding]:
    """By the gradient by depth."""
    yield from case.static(fading if case.ignores_samples else depth, CAUSE)
