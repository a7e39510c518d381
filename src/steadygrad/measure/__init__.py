"""Probes: tensors in, tensors out. Nothing here reads a value to the host."""

from .activation_probe import ActivationProbe, ActivationStats
from .activations import dead_fraction, saturated_fraction
from .attention import AttentionStats, attention_stats
from .attention_probe import AttentionProbe
from .directions import generic_directions
from .lyapunov import lyapunov_exponents, recurrent_jacobians, spectral_radius
from .norms import each_norm, norm_vector, overflow_safe_norm, stacked, tensor_norms, total_norm, unit_norms, widest
from .recurrence import RecurrentLayer, recurrent_layers
from .stats import TensorStats, tensor_stats
from .time_gradient_probe import TimeGradientProbe
from .time_gradients import TimeGradient, gradient_by_time
from .update_probe import UpdateProbe, natural_norm
from .updates import second_moment_ratio, update_ratio

__all__ = [
    "ActivationProbe",
    "ActivationStats",
    "AttentionProbe",
    "AttentionStats",
    "RecurrentLayer",
    "TensorStats",
    "TimeGradient",
    "TimeGradientProbe",
    "UpdateProbe",
    "attention_stats",
    "dead_fraction",
    "each_norm",
    "generic_directions",
    "gradient_by_time",
    "lyapunov_exponents",
    "natural_norm",
    "norm_vector",
    "overflow_safe_norm",
    "recurrent_jacobians",
    "recurrent_layers",
    "saturated_fraction",
    "second_moment_ratio",
    "spectral_radius",
    "stacked",
    "tensor_norms",
    "tensor_stats",
    "total_norm",
    "unit_norms",
    "update_ratio",
    "widest",
]
