"""Holding a run together: what is wrong with a step (detectors), what to do about it (policy), and how (actions).

`loss` is the state of the loss, `guard` judges a step from plain numbers, `skip` makes a step not happen, `ladder`
decides when the learning rate goes down, and `rate` lowers it.
"""

from .guard import Guard, Measured, Raised, Ruling
from .ladder import Ladder, Rung
from .loss import LossLevel
from .rate import LoweredRate, can_lower
from .skip import HiddenGradients, hollow

__all__ = [
    "Guard",
    "HiddenGradients",
    "Ladder",
    "LossLevel",
    "LoweredRate",
    "Measured",
    "Raised",
    "Ruling",
    "Rung",
    "can_lower",
    "hollow",
]
