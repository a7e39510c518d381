"""Probes: tensors in, tensors out. Nothing here reads a value to the host; `mean_field` is theory, all on the host."""

from .activation_probe import ActivationProbe, ActivationStats
from .activations import dead_fraction, saturated_fraction
from .attention import AttentionStats, attention_stats
from .attention_probe import AttentionProbe
from .mean_field import MeanField, mean_field
from .norms import each_norm, norm_vector, overflow_safe_norm, stacked, tensor_norms, total_norm, unit_norms, widest
from .stats import TensorStats, tensor_stats
from .update_probe import UpdateProbe, natural_norm
from .updates import second_moment_ratio, update_ratio

__all__ = [
    "ActivationProbe",
    "ActivationStats",
    "AttentionProbe",
    "AttentionStats",
    "MeanField",
    "TensorStats",
    "UpdateProbe",
    "attention_stats",
    "dead_fraction",
    "each_norm",
    "mean_field",
    "natural_norm",
    "norm_vector",
    "overflow_safe_norm",
    "saturated_fraction",
    "second_moment_ratio",
    "stacked",
    "tensor_norms",
    "tensor_stats",
    "total_norm",
    "unit_norms",
    "update_ratio",
    "widest",
]
