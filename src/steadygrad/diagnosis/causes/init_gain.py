"""The initial weights amplify the signal or the gradient with depth.

Weights that are too large multiply at every layer: a gain of 2 a layer is a factor of a thousand after ten. The first
loss is far above that of a guess, the gradient of the first layers far above that of the last ones, and no learning
rate is small enough for long.

Seen in: the first pass with the first weights: outputs and loss against a guess, gradient by depth.

Remedies: auto-initialisation, lsuv, fixup, scale-down-the-head, clip-global-norm.

Reference: He et al., "Delving deep into rectifiers", 2015.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.depth import depth
from ...rules.head import head
from ..case import Case

CAUSE = "init-gain"


def init_gain(case: Case) -> Iterator[Finding]:
    """By the gains of the first pass."""
    for rule in (head, depth):
        yield from case.static(rule, CAUSE)
