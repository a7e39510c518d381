"""The rules of the check, a file each: from evidence to measurements beside their limits, and to findings."""

from collections.abc import Callable, Iterator
from typing import TypeAlias

from ..evidence import Evidence
from ..findings import Finding, Measurement
from .attention import attention
from .data import data
from .depth import depth
from .half import half
from .head import head
from .learning_rate import learning_rate
from .loss_scale import loss_scale
from .nonfinite import nonfinite
from .recurrent import recurrent
from .symmetric import symmetric
from .units import units
from .weights import weights

Rule: TypeAlias = Callable[[Evidence], Iterator[Finding | Measurement]]

RULES: tuple[Rule, ...] = (
    nonfinite,
    data,
    loss_scale,
    half,
    head,
    depth,
    weights,
    symmetric,
    units,
    attention,
    recurrent,
    learning_rate,
)
"""Every rule, in the order in which their measurements are shown."""

__all__ = ["RULES", "Rule"]
