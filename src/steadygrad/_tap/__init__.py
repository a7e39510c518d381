"""Where the watcher touches PyTorch: optimizer steps, losses, the gradient scaler, carried and loaded states.

Every hook here is guarded: an error of ours is handed to `on_error` and never reaches the user's training.
"""

from .carried import CarriedState
from .loads import LoadTap
from .losses import LossTap
from .rescale import RescaleInit
from .scaler import ScalerTap
from .steps import Plan, StepObserver, StepTap

__all__ = ["CarriedState", "LoadTap", "LossTap", "Plan", "RescaleInit", "ScalerTap", "StepObserver", "StepTap"]
