"""ReLUs that never fire.

A unit that is zero for every sample gets no gradient and never comes back. A bias that is too negative kills a layer at
the start, one step that is too long kills it later.

Seen in: the share of units that are zero for the whole batch.

Remedies: zero-bias, leaky-relu, auto-initialisation.

Reference: Lu et al., "Dying ReLU and initialization", 2019.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.units import units
from ..case import Case

CAUSE = "dead-units"


def dead_units(case: Case) -> Iterator[Finding]:
    """By the activations of the first pass."""
    yield from case.static(units, CAUSE)
