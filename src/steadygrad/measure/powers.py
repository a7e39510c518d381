"""Powers of one number in a row: exponentials that stand for a state which is multiplied at each step."""

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._readback import read_array, read_tensor_scalar

FEWEST = 8
"""Exponents in a row that rise evenly, from which it is no accident."""

EVENLY = 0.01
"""By how much, of its size, a rise may differ from the others."""

LOGARITHMS = {"exp": 1.0, "exp_": 1.0, "exp2": math.log(2.0), "exp2_": math.log(2.0)}
"""Functions that raise a number to a power, and its logarithm."""


@torch.no_grad()
def powers_in_a_row(name: str, args: Any) -> tuple[int, float]:
    r"""How often in a row the powers that a function of torch makes grow by the same factor until they overflow.

    A linear recurrence :math:`h_t = a h_{t-1} + u_t` that is computed at once, as a convolution, has the kernel
    :math:`a^k = \exp(k \log a)`: its exponents rise evenly along the time.

    Args:
        name: of the function.
        args: what it is given.

    Returns:
        How often, and by how many nats in all; zeros where exponents do not rise evenly, or few of them do.

    Example:
        >>> rates, times = torch.tensor([[0.5], [2.0]]), torch.arange(60.0)
        >>> powers_in_a_row("exp", (rates * times,))
        (44, 88.0)
        >>> powers_in_a_row("exp", (torch.randn(2, 60).cumsum(1) + 90.0,))
        (0, 0.0)
    """
    exponents = _exponents(name, args)
    if exponents is None or exponents.numel() < FEWEST:
        return 0, 0.0
    largest = int(read_tensor_scalar(exponents.argmax()) or 0)
    place = np.unravel_index(largest, exponents.shape)
    rows = (exponents[(*place[:dim], slice(None), *place[dim + 1 :])] for dim in range(exponents.ndim))
    return max((_rise(read_array(row.double()), exponents.dtype) for row in rows), key=lambda each: each[1])


def _exponents(name: str, args: Any) -> Tensor | None:
    if name in LOGARITHMS and args and isinstance(args[0], Tensor) and args[0].is_floating_point():
        return LOGARITHMS[name] * args[0].detach()
    if name in {"pow", "__pow__", "float_power"} and len(args) > 1 and isinstance(args[1], Tensor):
        base = torch.as_tensor(args[0], device=args[1].device).detach()
        return args[1].detach() * base.abs().log()
    return None


def _rise(row: np.ndarray, dtype: torch.dtype) -> tuple[int, float]:
    """Of what is finite still, along one dimension, one way or the other."""
    row = row if row[-1] > row[0] else row[::-1]
    row = row[row <= math.log(torch.finfo(dtype).max)]
    rises = np.diff(row)
    if len(rises) < FEWEST or not np.isfinite(rises).all() or not rises.mean() > 0:
        return 0, 0.0
    evenly = bool((np.abs(rises - rises.mean()) <= EVENLY * rises.mean()).all())
    return (len(rises), float(row[-1] - row[0])) if evenly else (0, 0.0)
