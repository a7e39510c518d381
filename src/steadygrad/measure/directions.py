"""Directions to start an iteration from: the same at every call, and no random number of the user's is used up."""

import torch
from torch import Tensor


def generic_directions(rows: int, columns: int, like: Tensor) -> Tensor:
    r"""A matrix in general position, :math:`a_m = \sin(0.7 m^2)` over its elements, dtype and device as `like`.

    A structured start, such as unit vectors, can lie in an invariant subspace of a structured weight for ever.

    Example:
        >>> matrix = generic_directions(40, 30, torch.zeros(()))
        >>> torch.linalg.matrix_rank(matrix).item()
        30
    """
    number = torch.arange(1, rows * columns + 1, device=like.device, dtype=like.dtype)
    return torch.sin(0.7 * number.square()).view(rows, columns)
