"""Holding a run together: what is wrong with a step (detectors), what to do about it (policy), and how (actions).

`loss` is the state of the loss, `guard` judges a step from plain numbers, `skip` makes a step not happen.
"""

from .guard import Guard, Measured, Raised, Ruling
from .loss import LossLevel
from .skip import HiddenGradients, hollow

__all__ = ["Guard", "HiddenGradients", "LossLevel", "Measured", "Raised", "Ruling", "hollow"]
