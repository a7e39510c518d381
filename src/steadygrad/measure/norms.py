"""Norms of tensors, accumulated in float32 or wider whatever the tensors' dtype."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch._utils import _flatten_dense_tensors

from .. import _dist
from .._foreach import REDUCED, dense_values, group
from .._readback import read_array

SMALL = 1_024
"""Elements up to which a tensor on the CPU is copied beside others, and all of them measured by one call."""

MANY = 64
"""So many tensors must there be for that, all of them small."""


def each_norm(tensors: Sequence[Tensor], norm_type: float = 2.0) -> list[Tensor]:
    r"""The p-norm of each tensor, :math:`\|t_i\|_p`.

    Args:
        tensors: floating or complex tensors of any shapes, dtypes, devices and layouts; sparse ones count duplicate
            indices summed; of DTensors, this rank's part.
        norm_type: p, positive; `inf` for the largest absolute value.

    Returns:
        A 0-d tensor for each, on its device: float64 on CUDA, where that costs nothing and squares cannot overflow, and
        for float64 tensors; else float32. NaN for a tensor with a NaN; on other devices `inf` may mean that the squares
        have overflowed, see `overflow_safe_norm`.

    Example:
        >>> [norm.item() for norm in each_norm([torch.tensor([3.0, 4.0]), torch.tensor(-2.0)])]
        [5.0, 2.0]
    """
    return _in_order(_by_kind(tensors, norm_type))


def tensor_norms(tensors: Sequence[Tensor]) -> list[tuple[list[int], Tensor]]:
    r"""The L2 norm of each tensor, :math:`\|t_i\|_2`, one device vector for each kind of tensor.

    Args:
        tensors: as of `each_norm`.

    Returns:
        Pairs of the tensors' places in the list and a vector with their norms on their device.

    Example:
        >>> [(places, norms.tolist()) for places, norms in tensor_norms([torch.tensor([3.0, 4.0])])]
        [([0], [5.0])]
    """
    return _by_kind(tensors, 2.0)


def norm_vector(tensors: Sequence[Tensor], norm_type: float = 2.0) -> Tensor:
    r"""The p-norm of each tensor as one vector on the first one's device, float64 where the device has it.

    Args:
        tensors: as of `each_norm`, at least one.
        norm_type: p, positive.

    Returns:
        A vector of as many elements; its own 2-norm cannot overflow.

    Example:
        >>> norm_vector([torch.tensor([3.0, 4.0]), torch.tensor([1.0])]).tolist()
        [5.0, 1.0]
    """
    kinds = _by_kind(tensors, norm_type)
    if len(kinds) == 1:
        return kinds[0][1].to(widest(tensors[0].device))
    if not all(norms.is_cpu for _, norms in kinds):  # places as an index would wait for the device
        return stacked(_in_order(kinds))
    vector = torch.empty(len(tensors), dtype=torch.float64)
    for places, norms in kinds:
        vector[places] = norms.to(torch.float64)
    return vector


def total_norm(norms: Sequence[Tensor], norm_type: float = 2.0) -> Tensor:
    r"""The norm of everything from the norms of the parts, :math:`(\sum_i n_i^p)^{1/p}`.

    Args:
        norms: 0-d tensors, on any devices.
        norm_type: p, positive.

    Returns:
        A 0-d tensor on the first norm's device, float64 where the device has it: the sum of squares cannot overflow.

    Raises:
        ValueError: there are no norms.

    Example:
        >>> round(total_norm([torch.tensor(3e30), torch.tensor(4e30)]).item() / 1e30, 3)
        5.0
    """
    if not norms:
        raise ValueError("norms is empty, expected at least one")
    return torch.linalg.vector_norm(stacked(norms), norm_type)


def stacked(norms: Sequence[Tensor]) -> Tensor:
    """0-d tensors as one vector on the first one's device, float64 where the device has it."""
    home = norms[0].device
    return torch.stack([norm.to(device=home, dtype=widest(home)) for norm in norms])


def unit_norms(tensor: Tensor) -> Tensor:
    r"""The L2 norm of each unit: a row of a matrix, a filter of a convolution, the whole of a vector.

    .. math:: n_i = \| t_{i, :} \|_2

    Args:
        tensor: a floating or complex tensor of shape (units, ...), or of one or no dimension; DTensors give DTensors.

    Returns:
        A tensor of shape (units, 1, ...) that broadcasts against `tensor`, or 0-d for a vector or a scalar; float32, or
        float64 on CUDA and for float64.

    Example:
        >>> unit_norms(torch.tensor([[3.0, 4.0], [0.0, 2.0]])).flatten().tolist()
        [5.0, 2.0]

    References:
        Brock et al., "High-performance large-scale image recognition without normalization", 2021.
    """
    wide = _accumulator(tensor.device, tensor.dtype)
    if tensor.ndim <= 1:
        return torch.linalg.vector_norm(tensor, dtype=wide)
    return torch.linalg.vector_norm(tensor, dim=tuple(range(1, tensor.ndim)), keepdim=True, dtype=wide)


def overflow_safe_norm(tensor: Tensor, norm_type: float = 2.0) -> Tensor:
    r"""The p-norm without overflow of the powers, :math:`a \, \|t / a\|_p` with :math:`a = \max |t|`, in float64.

    Args:
        tensor: a floating or complex tensor of any shape, dense or sparse; of a DTensor, this rank's part.
        norm_type: p, positive.

    Returns:
        A 0-d float64 tensor: finite exactly when every element is finite.

    Example:
        >>> overflow_safe_norm(torch.tensor([3e30, 4e30], dtype=torch.float64)).item()
        5e+30
    """
    values = dense_values(_dist.local(tensor)).detach()
    if values.numel() == 0:
        return torch.zeros((), dtype=torch.float64, device=values.device)
    size = values.abs().to(torch.float64)
    largest = size.max()
    scale = torch.where((largest > 0) & torch.isfinite(largest), largest, torch.ones_like(largest))
    return torch.linalg.vector_norm(size / scale, norm_type) * scale


def widest(device: torch.device) -> torch.dtype:
    """float64 where the device has it, else float32."""
    return torch.float32 if device.type == "mps" else torch.float64


def _by_kind(tensors: Sequence[Tensor], norm_type: float) -> list[tuple[list[int], Tensor]]:
    """Norms by device, dtype and layout, a vector each, with the tensors' places."""
    results = []
    for (device, dtype, dense), places in group(tensors).items():
        whole = dense and len(places) == len(tensors)
        values = list(tensors) if whole else [dense_values(tensors[place]) for place in places]
        wide = _accumulator(device, dtype)
        plain = norm_type == 2.0 and device.type == "cpu" and dtype.is_floating_point
        sizes = _sizes_of_small(values) if plain else None
        if sizes is not None:
            results.append((places, _norms_together(values, sizes, wide or dtype)))
        else:
            norms = torch._foreach_norm(values, norm_type, **({} if wide is None else {"dtype": wide}))
            results.append((places, torch.stack(norms)))
    return results


def _in_order(kinds: Sequence[tuple[list[int], Tensor]]) -> list[Tensor]:
    """The norms one by one, each at its tensor's place."""
    norms = {place: norm for places, found in kinds for place, norm in zip(places, found.unbind(), strict=True)}
    return [norms[place] for place in range(len(norms))]


def _sizes_of_small(values: Sequence[Tensor]) -> np.ndarray | None:
    """How many elements each has, if they are so many and so small that a call for each costs more than a copy."""
    if len(values) < MANY or torch.compiler.is_compiling() or not {*map(type, values)} <= {Tensor, nn.Parameter}:
        return None
    if values[0].numel() > SMALL:  # most often it is the first: an embedding, a kernel
        return None
    sizes = np.fromiter(map(Tensor.numel, values), np.int64, len(values))
    return sizes if sizes.min() > 0 and sizes.max() <= SMALL else None


def _norms_together(values: Sequence[Tensor], sizes: np.ndarray, dtype: torch.dtype) -> Tensor:
    """The L2 norms of many small tensors: one copy and a few calls, whatever their number."""
    flat = read_array(_flatten_dense_tensors(values).to(dtype))
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        squares = np.multiply(flat, flat, out=flat)  # a copy of many, and no one else's
        sums = np.add.reduceat(squares, np.cumsum(sizes) - sizes)
    return torch.from_numpy(np.sqrt(sums))


def _accumulator(device: torch.device, dtype: torch.dtype) -> torch.dtype | None:
    """The dtype to accumulate in; None: the tensor's own. (float16 cannot overflow float32, bfloat16 can.)"""
    if device.type == "cuda" and dtype in (torch.float32, torch.bfloat16):
        return torch.float64
    return torch.float32 if dtype in REDUCED else None
