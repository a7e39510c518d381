"""Lists of tensors, grouped so that torch's `_foreach_*` functions take their fast path."""

from collections.abc import Iterator, Sequence
from operator import attrgetter

import torch
from torch import Tensor
from torch.utils._foreach_utils import _group_tensors_by_device_and_dtype

_IS_CPU, _LAYOUT, _DTYPE = attrgetter("is_cpu"), attrgetter("layout"), attrgetter("dtype")

REDUCED = frozenset({torch.float16, torch.bfloat16})
"""Dtypes in which nothing is to be accumulated."""


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
    if not tensors:
        return groups
    # Far faster than a loop that asks each tensor: what one is, most are.
    first = tensors[0]
    plain = not torch.compiler.is_compiling() and all(map(_IS_CPU, tensors))
    if plain and {*map(_LAYOUT, tensors)} == {torch.strided} and len({*map(_DTYPE, tensors)}) == 1:
        return {(first.device, first.dtype, True): list(range(len(tensors)))}
    mixed = any(tensor.layout != torch.strided for tensor in tensors)
    for (device, dtype), (_, places) in _group_tensors_by_device_and_dtype([list(tensors)], with_indices=True).items():
        if not mixed:
            groups[(device, dtype, True)] = places
            continue
        for place in places:
            groups.setdefault((device, dtype, tensors[place].layout == torch.strided), []).append(place)
    return groups


def dense_values(tensor: Tensor) -> Tensor:
    """The stored values of a sparse gradient, duplicates summed, so that its norm is that of the full gradient."""
    if tensor.layout == torch.sparse_coo:
        return tensor.coalesce().values()
    if tensor.layout == torch.strided:
        return tensor
    return tensor.values()


CHUNK = 1 << 16
"""Elements that are worked on together: few enough that all but the first look finds them in the cache."""


def chunks(*tensors: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Pieces of tensors of one shape, for work that looks at each element several times.

    On a CPU flat views that fit into the cache, where memory order allows it; else the tensors as they are.

    Example:
        >>> [piece.shape for piece, _ in chunks(torch.ones(300, 300), torch.zeros(300, 300))]
        [torch.Size([65536]), torch.Size([24464])]
    """
    first = tensors[0]
    if first.numel() <= CHUNK or not all(tensor.is_cpu and tensor.is_contiguous() for tensor in tensors):
        yield tensors
    else:
        yield from zip(*(tensor.view(-1).split(CHUNK) for tensor in tensors), strict=True)


def scale_(tensors: Sequence[Tensor], factor: float) -> None:
    """Multiply tensors in place, sparse ones included."""
    with torch.no_grad():
        for (device, dtype, dense), places in group(tensors).items():
            own = [tensors[place] for place in places]
            if not dense:
                for tensor in own:
                    tensor.mul_(factor)
            elif device.type == "cpu":
                # A number is made a tensor for each of them, rounded to their dtype: four times as slow on small ones,
                # and of reduced precision a limit would be missed by up to 0.4 %.
                wide = torch.float32 if dtype in REDUCED or dtype == torch.float32 else torch.float64
                torch._foreach_mul_(own, torch.tensor(factor, dtype=wide))
            else:
                torch._foreach_mul_(own, factor)


def zero_(tensors: Sequence[Tensor]) -> None:
    """Set tensors to zero in place, sparse ones included. (0 * NaN is NaN: multiplying would not do.)"""
    with torch.no_grad():
        dense = [tensor for tensor in tensors if tensor.layout == torch.strided]
        if dense:
            torch._foreach_zero_(dense)
        for tensor in tensors:
            if tensor.layout != torch.strided:
                tensor.zero_()
