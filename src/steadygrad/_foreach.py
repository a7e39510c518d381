"""Lists of tensors, grouped so that torch's `_foreach_*` functions take their fast path."""

from collections.abc import Sequence

import torch
from torch import Tensor


def group(tensors: Sequence[Tensor]) -> dict[tuple[torch.device, torch.dtype, bool], list[int]]:
    """Indices of the tensors by (device, dtype, dense).

    Args:
        tensors: any tensors.

    Returns:
        For each combination the places of its tensors in the list, in order.

    Example:
        >>> [places for places in group([torch.ones(2), torch.ones(3)]).values()]
        [[0, 1]]
    """
    groups: dict[tuple[torch.device, torch.dtype, bool], list[int]] = {}
    for index, tensor in enumerate(tensors):
        groups.setdefault((tensor.device, tensor.dtype, tensor.layout == torch.strided), []).append(index)
    return groups


def dense_values(tensor: Tensor) -> Tensor:
    """The stored values of a sparse gradient, duplicates summed, so that its norm is that of the full gradient."""
    if tensor.layout == torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout == torch.strided:
        return tensor
    return tensor.values()


def scale_(tensors: Sequence[Tensor], factor: float) -> None:
    """Multiply tensors in place, sparse ones included."""
    with torch.no_grad():
        dense = [tensor for tensor in tensors if tensor.layout == torch.strided]
        if dense:
            torch._foreach_mul_(dense, factor)
        for tensor in tensors:
            if tensor.layout != torch.strided:
                tensor.mul_(factor)


def zero_(tensors: Sequence[Tensor]) -> None:
    """Set tensors to zero in place, sparse ones included. (0 * NaN is NaN: multiplying would not do.)"""
    with torch.no_grad():
        dense = [tensor for tensor in tensors if tensor.layout == torch.strided]
        if dense:
            torch._foreach_zero_(dense)
        for tensor in tensors:
            if tensor.layout != torch.strided:
                tensor.zero_()
