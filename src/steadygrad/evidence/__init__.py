"""What was measured of a training, as plain numbers that cross floors and lie on disk. No torch."""

from .evidence import Evidence
from .passes import Activity, Attention, Call, Classification, Pass, Units
from .profiles import Edge, Memory, Origin, Recurrence, Rehearsal, TensorProfile, Term, WeightProfile, best
from .serial import from_plain, to_plain

__all__ = [
    "Activity",
    "Attention",
    "Call",
    "Classification",
    "Edge",
    "Evidence",
    "Memory",
    "Origin",
    "Pass",
    "Recurrence",
    "Rehearsal",
    "TensorProfile",
    "Term",
    "Units",
    "WeightProfile",
    "best",
    "from_plain",
    "to_plain",
]
