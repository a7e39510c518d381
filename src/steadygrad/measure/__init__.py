"""Probes: tensors in, tensors out. Nothing here reads a value to the host."""

from .norms import overflow_safe_norm, tensor_norms

__all__ = ["overflow_safe_norm", "tensor_norms"]
