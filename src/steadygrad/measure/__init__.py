"""Probes: tensors in, tensors out. Nothing here reads a value to the host."""

from .attention_probe import AttentionProbe
from .norms import each_norm, overflow_safe_norm, stacked, tensor_norms, total_norm, unit_norms, widest
from .stats import TensorStats, tensor_stats
from .updates import second_moment_ratio, update_ratio

__all__ = [
    "AttentionProbe",
    "TensorStats",
    "each_norm",
    "overflow_safe_norm",
    "second_moment_ratio",
    "stacked",
    "tensor_norms",
    "tensor_stats",
    "total_norm",
    "unit_norms",
    "update_ratio",
    "widest",
]
