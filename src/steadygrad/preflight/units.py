"""Whether the units of a weight are the same unit: its rows, and the rows of its gradient."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from .._readback import read_step
from ..evidence import Units
from ..measure.forward_trace import rms

ALIKE = 1e-5
"""Difference between rows, against their size, that rounding makes."""


def units_of(params: Mapping[str, Tensor]) -> dict[str, Units]:
    """Whether the units (the rows) of weights are alike, and their gradients.

    Args:
        params: by name; those with fewer than two dimensions or rows have no units.
    """
    named = {name: param for name, param in params.items() if param.ndim > 1 and param.shape[0] > 1}
    grads = {name: param.grad for name, param in named.items() if param.grad is not None and not param.grad.is_sparse}
    weights = units_alike(list(named.values()))
    moved = dict(zip(grads, units_alike(list(grads.values())), strict=True))
    found = {}
    for (name, param), (size, alike) in zip(named.items(), weights, strict=True):
        grad_rms, grads_alike = moved.get(name, (0.0, False))
        found[name] = Units(tuple(param.shape), size, alike, grad_rms, grads_alike)
    return found


def units_alike(tensors: Sequence[Tensor]) -> list[tuple[float, bool]]:
    """The root mean square of each, and whether its rows are the same."""
    with torch.no_grad():
        sizes = [rms(tensor) for tensor in tensors]
        differences = [(tensor - tensor[:1]).abs().max() for tensor in tensors]
    numbers = read_step([], 0, 0.0, [*sizes, *differences])[1]
    count = len(tensors)
    return [(numbers[i], numbers[count + i] <= ALIKE * numbers[i]) for i in range(count)]
