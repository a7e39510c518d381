"""States to go back to.

`buffers` puts a module's buffers back after a lost step, `backup` an optimizer after a step with a closure. `training`
is a whole training state, `ring` keeps some of them within a memory limit and knows which can be trusted, `room` says
what memory there is, `walk` what there is to copy.
"""

from .backup import OptimizerBackup
from .buffers import BufferSnapshot
from .ring import QUARANTINE, SnapshotRing
from .room import Room
from .training import TrainingParts, TrainingSnapshot
from .walk import PLAIN

__all__ = [
    "PLAIN",
    "QUARANTINE",
    "BufferSnapshot",
    "OptimizerBackup",
    "Room",
    "SnapshotRing",
    "TrainingParts",
    "TrainingSnapshot",
]
