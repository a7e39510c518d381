"""Where the watcher touches PyTorch: optimizer steps, losses, the gradient scaler, the modules and their names.

Every hook here is guarded: an error of ours is handed to `on_error` and never reaches the user's training.
"""

from .carried import CarriedState
from .losses import LossTap
from .names import name_parameters
from .roots import find_roots
from .scaler import ScalerTap
from .steps import Plan, StepObserver, StepTap

__all__ = [
    "CarriedState",
    "LossTap",
    "Plan",
    "ScalerTap",
    "StepObserver",
    "StepTap",
    "find_roots",
    "name_parameters",
]
