"""Where the watcher touches PyTorch: optimizer steps, losses, the gradient scaler, carried and loaded states.

Every hook here is guarded: an error of ours is handed to `on_error` and never reaches the user's training.
"""

from .by_hand import UPDATES, ByHand, HandTap, leaves_of
from .carried import CarriedState
from .clips import LIMITS, ClipTap
from .inert import InertHook
from .loads import LoadTap
from .loss_scale import is_loss_scale, own_scale
from .losses import LossTap
from .own_updates import OwnUpdates, params_of
from .passes import PassTap, has_compiled
from .quiet import is_quiet, quiet, quiet_depth
from .rescale import RescaleInit
from .scaler import ScalerTap
from .steps import Plan, StepObserver, StepTap, on_stack
from .tape import Entry
from .taped import CannotReplay, TapedPass

__all__ = [
    "LIMITS",
    "UPDATES",
    "ByHand",
    "CannotReplay",
    "CarriedState",
    "ClipTap",
    "Entry",
    "HandTap",
    "InertHook",
    "LoadTap",
    "LossTap",
    "OwnUpdates",
    "PassTap",
    "Plan",
    "RescaleInit",
    "ScalerTap",
    "StepObserver",
    "StepTap",
    "TapedPass",
    "has_compiled",
    "is_loss_scale",
    "is_quiet",
    "leaves_of",
    "on_stack",
    "own_scale",
    "params_of",
    "quiet",
    "quiet_depth",
]
