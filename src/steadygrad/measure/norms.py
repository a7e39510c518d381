"""Per-tensor L2 norms, accumulated in float32 or wider whatever the tensors' dtype."""

from collections.abc import Sequence

import torch
from torch import Tensor

from .._foreach import dense_values, group

REDUCED = frozenset({torch.float16, torch.bfloat16})


def tensor_norms(tensors: Sequence[Tensor]) -> list[tuple[list[int], Tensor]]:
    r"""The L2 norm of each tensor, :math:`\|t_i\|_2`, one device vector for each kind of tensor.

    Args:
        tensors: floating or complex tensors of any shapes, dtypes, devices and layouts; sparse ones count
            duplicate indices summed.

    Returns:
        Pairs of the tensors' places in the list and a vector with their norms (float32, or float64 for float64
        tensors) on their device. A tensor with a NaN has the norm NaN.

    Example:
        >>> [(places, norms.tolist()) for places, norms in tensor_norms([torch.tensor([3.0, 4.0])])]
        [([0], [5.0])]
    """
    results = []
    for (_, dtype, dense), places in group(tensors).items():
        values = [tensors[place] if dense else dense_values(tensors[place]) for place in places]
        wide = torch.float32 if dtype in REDUCED else None
        norms = torch._foreach_norm(values, 2.0, dtype=wide) if wide else torch._foreach_norm(values, 2.0)
        results.append((places, torch.stack(list(norms))))
    return results


def overflow_safe_norm(tensor: Tensor) -> Tensor:
    r"""The L2 norm without overflow of the squares, :math:`a \, \|t / a\|_2` with :math:`a = \max |t|`, in float64.

    Args:
        tensor: a floating or complex tensor of any shape, dense or sparse.

    Returns:
        A 0-d float64 tensor: finite exactly when every element is finite.

    Example:
        >>> overflow_safe_norm(torch.tensor([3e30, 4e30], dtype=torch.float64)).item()
        5e+30
    """
    values = dense_values(tensor).detach()
    if values.numel() == 0:
        return torch.zeros((), dtype=torch.float64, device=values.device)
    size = values.abs().to(torch.float64)
    largest = size.max()
    scale = torch.where(largest > 0, largest, torch.ones_like(largest))
    return torch.linalg.vector_norm(size / scale) * scale
