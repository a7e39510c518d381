"""What a list of tensors looks like: size, largest element, zeros, elements that are not finite, in one traversal."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from .. import _dist
from .._foreach import chunks, dense_values
from .norms import widest


@dataclass(frozen=True, slots=True)
class TensorStats:
    """Statistics of n tensors, one element of each vector a tensor.

    `rms` (root of the mean square) and `absmax` are those of the finite elements; `zero_fraction` is the share of
    elements that are exactly zero; `nonfinite_count` counts NaN and infinities.
    """

    rms: Tensor
    absmax: Tensor
    zero_fraction: Tensor
    nonfinite_count: Tensor


def tensor_stats(tensors: Sequence[Tensor]) -> TensorStats:
    r"""The size of each tensor's finite elements, and how many are zero or not finite.

    .. math:: \text{rms}_i = \sqrt{\tfrac{1}{|F_i|} \sum_{j \in F_i} t_{ij}^2}, \quad
        F_i = \{j : t_{ij} \text{ finite}\}

    Args:
        tensors: floating or complex tensors of any shapes, dtypes and layouts, on one device; sparse ones are looked at
            by their stored values; of DTensors, this rank's part. Not empty as a list; a tensor may be.

    Returns:
        The statistics, float64 where the device has it (`nonfinite_count` int64), on the device.

    Raises:
        ValueError: `tensors` is empty.

    Example:
        >>> stats = tensor_stats([torch.tensor([3.0, -4.0, 0.0, float("nan")])])
        >>> stats.absmax.tolist(), stats.nonfinite_count.tolist(), stats.zero_fraction.tolist()
        ([4.0], [1], [0.25])
    """
    if not tensors:
        raise ValueError("tensors is empty, expected at least one")
    with torch.no_grad():
        rows = [_one(tensor) for tensor in tensors]
    rms, absmax, zeros, bad = (torch.stack([row[column] for row in rows]) for column in range(4))
    return TensorStats(rms, absmax, zeros, bad)


def _one(tensor: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    values = dense_values(_dist.local(tensor)).detach().reshape(-1)
    wide = widest(values.device)
    if values.numel() == 0:
        nothing = torch.zeros((), dtype=wide, device=values.device)
        return nothing, nothing, nothing, nothing.to(torch.int64)
    parts = []
    for (chunk,) in chunks(values):
        size = chunk.abs().to(wide)
        finite = torch.isfinite(size)
        size = torch.where(finite, size, 0.0)
        parts.append((torch.linalg.vector_norm(size), size.max(), (size > 0).sum(), finite.sum()))
    norm = torch.linalg.vector_norm(torch.stack([part[0] for part in parts]))
    absmax = torch.stack([part[1] for part in parts]).max()
    nonzero = torch.stack([part[2] for part in parts]).sum()
    finite = torch.stack([part[3] for part in parts]).sum()
    rms = norm / finite.clamp(min=1).to(wide).sqrt()
    return rms, absmax, (finite - nonzero).to(wide) / values.numel(), values.numel() - finite
