"""Probes: tensors in, tensors out.

What belongs to a step reads no value to the host. Curvature (`sharpness`, `step_sharpness`) is for between steps: it
looks whether it has converged. `mean_field` is theory, all on the host.
"""

from .activation_probe import ActivationProbe, ActivationStats
from .activations import dead_fraction, saturated_fraction
from .attention import AttentionStats, attention_stats
from .attention_probe import AttentionProbe
from .calling import Call, call_model, find_call, tensors_in
from .directions import generic_directions
from .forward_graph import ForwardGraph, Operation, forward_graph
from .lyapunov import lyapunov_exponents, recurrent_jacobians, spectral_radius
from .mean_field import MeanField, mean_field
from .norms import each_norm, norm_vector, overflow_safe_norm, stacked, tensor_norms, total_norm, unit_norms, widest
from .preconditioner import preconditioner
from .recurrence import RecurrentLayer, recurrent_layers
from .residual import ResidualBranch, find_residual_branches, residual_branches
from .sharpness import Sharpness, sharpness
from .stability import StabilityLimit, StepSharpness, stability_limit, step_sharpness
from .stats import TensorStats, tensor_stats
from .time_gradient_probe import TimeGradientProbe
from .time_gradients import TimeGradient, gradient_by_time
from .undisturbed import undisturbed
from .update_probe import UpdateProbe, natural_norm
from .updates import second_moment_ratio, update_ratio

__all__ = [
    "ActivationProbe",
    "ActivationStats",
    "AttentionProbe",
    "AttentionStats",
    "Call",
    "ForwardGraph",
    "MeanField",
    "Operation",
    "RecurrentLayer",
    "ResidualBranch",
    "Sharpness",
    "StabilityLimit",
    "StepSharpness",
    "TensorStats",
    "TimeGradient",
    "TimeGradientProbe",
    "UpdateProbe",
    "attention_stats",
    "call_model",
    "dead_fraction",
    "each_norm",
    "find_call",
    "find_residual_branches",
    "forward_graph",
    "generic_directions",
    "gradient_by_time",
    "lyapunov_exponents",
    "mean_field",
    "natural_norm",
    "norm_vector",
    "overflow_safe_norm",
    "preconditioner",
    "recurrent_jacobians",
    "recurrent_layers",
    "residual_branches",
    "saturated_fraction",
    "second_moment_ratio",
    "sharpness",
    "spectral_radius",
    "stability_limit",
    "stacked",
    "step_sharpness",
    "tensor_norms",
    "tensor_stats",
    "tensors_in",
    "total_norm",
    "undisturbed",
    "unit_norms",
    "update_ratio",
    "widest",
]
