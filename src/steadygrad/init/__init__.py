"""Initial weights that neither amplify nor shrink a signal: layer-sequential, recurrent, residual, automatic."""

from .lsuv import lsuv_
from .record import InitRecord, InitStep
from .recurrent import chrono_, forget_bias_, identity_recurrent_, orthogonal_recurrent_

__all__ = [
    "InitRecord",
    "InitStep",
    "chrono_",
    "forget_bias_",
    "identity_recurrent_",
    "lsuv_",
    "orthogonal_recurrent_",
]
