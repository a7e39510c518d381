"""Where the watcher touches PyTorch: optimizer steps, losses, the gradient scaler, carried states.

Every hook here is guarded: an error of ours is handed to `on_error` and never reaches the user's training.
"""

from .carried import CarriedState
from .losses import LossTap
from .scaler import ScalerTap
from .steps import Plan, StepObserver, StepTap

__all__ = ["CarriedState", "LossTap", "Plan", "ScalerTap", "StepObserver", "StepTap"]
