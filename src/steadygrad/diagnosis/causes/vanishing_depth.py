"""The gradient dies with depth.

Each layer passes on a part of the gradient; after many of them nothing is left, and the first layers stay as they were.
Layers of zeros pass on nothing at all.

Seen in: the gradient of the first layers against that of the last ones, in the first pass; units of a layer that start
with the same weights, and get the same gradient.

Remedies: auto-initialisation, random-initialisation, residual-connections, normalisation.

Reference: Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural networks", 2010.
"""

from collections.abc import Iterator
from dataclasses import replace

from ...findings import Finding
from ...rules.depth import depth, fading
from ...rules.symmetric import symmetric
from ..case import Case

CAUSE = "vanishing-depth"


def vanishing_depth(case: Case) -> Iterator[Finding]:
    """By the gradient by depth; by units of one layer that are one and the same."""
    yield from case.static(fading if case.ignores_samples else depth, CAUSE)
    if case.stalled:
        yield from (replace(each, cause=CAUSE) for each in case.static(symmetric, "symmetric-init"))
