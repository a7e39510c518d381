"""Holding a run together: what is wrong with a step (detectors), what to do about it (policy), and how (actions).

`guard` judges a step from plain numbers, with `loss`, `updates`, `growth`, `stall` and `undone` for the state of the
run. `escalation` decides what follows when that does not help, with `ladder` for the learning rate and `held_norm` for
gradients that grow. `skip` makes a step not happen, `running_stats` knows batch norm's statistics. `state` makes plain
data of what all of them know.
"""

from .escalation import ENDS, Escalation, Incident, Order
from .guard import Guard, Measured, Raised, Ruling
from .ladder import LEAST_MEASURED, Ladder, Rung
from .loss import LossLevel
from .running_stats import RunningStats
from .skip import HiddenGradients, hollow
from .stall import FELL, Stall
from .undone import Undone

__all__ = [
    "ENDS",
    "FELL",
    "LEAST_MEASURED",
    "Escalation",
    "Guard",
    "HiddenGradients",
    "Incident",
    "Ladder",
    "LossLevel",
    "Measured",
    "Order",
    "Raised",
    "Ruling",
    "Rung",
    "RunningStats",
    "Stall",
    "Undone",
    "hollow",
]
