"""The device-to-host door: the only file that reads a tensor's value.

Every read waits for the device, so each step goes through here once, with everything it wants in one packed vector.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor


def read_vectors(parts: Sequence[tuple[Sequence[int], Tensor]], width: int, fill: float) -> np.ndarray:
    """Read per-tensor values into one vector.

    Args:
        parts: pairs of places and a device vector of as many values.
        width: length of the result.
        fill: what stands where no part has a value.

    Returns:
        A float64 vector of length `width`.

    Example:
        >>> read_vectors([([1], torch.tensor([5.0]))], 3, -1.0)
        array([-1.,  5., -1.])
    """
    result = np.full(width, fill)
    by_device: dict[torch.device, list[tuple[Sequence[int], Tensor]]] = {}
    for places, values in parts:
        by_device.setdefault(values.device, []).append((places, values.detach().reshape(-1)))
    for group in by_device.values():
        packed = torch.cat([values for _, values in group]) if len(group) > 1 else group[0][1]
        result[[place for places, _ in group for place in places]] = packed.cpu().numpy()
    return result


def read_tensor_scalar(value: Any) -> float | None:
    """A number that may live in a one-element tensor, such as a capturable learning rate; None for anything else."""
    if isinstance(value, Tensor):
        return float(value.detach()) if value.numel() == 1 else None
    return float(value) if isinstance(value, (int, float)) else None


def any_nonfinite(tensors: Sequence[Tensor]) -> bool:
    """Whether any element of any of the tensors is NaN or infinite. Not for the hot path."""
    return any(not bool(torch.isfinite(tensor.detach()).all()) for tensor in tensors if tensor.numel())


def global_norm(norms: np.ndarray) -> float:
    """The root of the sum of squares of the non-negative entries, without overflow; NaN if any is NaN.

    >>> global_norm(np.array([3.0, 4.0, -1.0]))
    5.0
    """
    present = norms[~(norms < 0)]
    if not len(present):
        return 0.0
    largest = float(present.max())
    if not math.isfinite(largest) or largest == 0.0:
        return largest
    scaled = present / largest
    return largest * math.sqrt(float(np.dot(scaled, scaled)))
