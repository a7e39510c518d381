"""Initial weights that neither amplify nor shrink a signal: layer-sequential, recurrent, residual, automatic."""

from .auto import auto_
from .lsuv import lsuv_
from .record import InitRecord, InitStep
from .recurrent import chrono_, forget_bias_, identity_recurrent_, orthogonal_recurrent_
from .residual import depth_scaled_residual_, fixup_, tfixup_
from .variance import he_, xavier_

__all__ = [
    "InitRecord",
    "InitStep",
    "auto_",
    "chrono_",
    "depth_scaled_residual_",
    "fixup_",
    "forget_bias_",
    "he_",
    "identity_recurrent_",
    "lsuv_",
    "orthogonal_recurrent_",
    "tfixup_",
    "xavier_",
]
