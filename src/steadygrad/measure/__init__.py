"""Probes: tensors in, tensors out. Nothing here reads a value to the host."""

from .activation_probe import ActivationProbe, ActivationStats
from .activations import dead_fraction, saturated_fraction
from .attention import AttentionStats, attention_stats
from .attention_probe import AttentionProbe
from .calling import Call, call_model, find_call, tensors_in, undisturbed
from .forward_graph import ForwardGraph, Operation, forward_graph
from .norms import each_norm, norm_vector, overflow_safe_norm, stacked, tensor_norms, total_norm, unit_norms, widest
from .residual import ResidualBranch, find_residual_branches, residual_branches
from .stats import TensorStats, tensor_stats
from .update_probe import UpdateProbe, natural_norm
from .updates import second_moment_ratio, update_ratio

__all__ = [
    "ActivationProbe",
    "ActivationStats",
    "AttentionProbe",
    "AttentionStats",
    "Call",
    "ForwardGraph",
    "Operation",
    "ResidualBranch",
    "TensorStats",
    "UpdateProbe",
    "attention_stats",
    "call_model",
    "dead_fraction",
    "each_norm",
    "find_call",
    "find_residual_branches",
    "forward_graph",
    "natural_norm",
    "norm_vector",
    "overflow_safe_norm",
    "residual_branches",
    "saturated_fraction",
    "second_moment_ratio",
    "stacked",
    "tensor_norms",
    "tensor_stats",
    "tensors_in",
    "total_norm",
    "undisturbed",
    "unit_norms",
    "update_ratio",
    "widest",
]
