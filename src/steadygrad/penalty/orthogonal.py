"""Orthogonality: weights that keep the length of what goes through them."""

from typing import Literal, get_args

import torch
from torch import Tensor

from ..measure import generic_directions
from .weights import Source, matrices_of, total

Kind = Literal["soft", "double-soft", "srip"]


def orthogonality(source: Source, kind: Kind = "soft", *, iterations: int = 10) -> Tensor:
    r"""How far weight matrices are from orthogonal ones, which change no length, forwards or backwards.

    .. math:: \|W^\top W - I\|_F^2 \ (\text{soft}), \quad
        \|W^\top W - I\|_F^2 + \|W W^\top - I\|_F^2 \ (\text{double-soft}), \quad
        \sigma_{\max}(W^\top W - I) \ (\text{srip})

    summed over the matrices. On the smaller side, where zero can be reached: W is transposed if it is wide.
    `double-soft` of a matrix that is not square stays above 0. `srip` is the worst direction only, found by power
    iteration.

    Args:
        source: a module, of which the linear maps are taken: linear layers, convolutions (kernels flattened, a matrix a
            group), recurrent layers (a matrix a gate), attention (query, key and value), other parameters of two
            dimensions; no embeddings, no normalisation. Or the weights themselves, flattened to matrices.
        kind: which of the three.
        iterations: of the power iteration, from the same start at every call.

    Returns:
        0-d, differentiable, float32 or float64; not finite where a weight is not. 0 of no parameters.

    Raises:
        ValueError: another `kind`; a tensor without two dimensions; `iterations` is less than 1.

    Example:
        >>> orthogonality(torch.eye(3)).item(), orthogonality(2 * torch.eye(3)).item()
        (0.0, 27.0)
        >>> orthogonality(2 * torch.eye(3), "srip").item()
        3.0

    References:
        Bansal et al., "Can we gain more from orthogonality regularizations in training deep CNNs?", 2018.
    """
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(get_args(Kind))}")
    if iterations < 1:
        raise ValueError(f"iterations is {iterations}, expected at least 1")
    tall = [batch if batch.shape[1] >= batch.shape[2] else batch.mT for batch in matrices_of(source)]
    if kind == "srip":
        return total([_srip(batch, iterations) for batch in tall])
    terms = [_deviation(batch) for batch in tall]
    if kind == "double-soft":
        terms += [_deviation(batch.mT) for batch in tall]
    return total(terms)


def _deviation(batch: Tensor) -> Tensor:
    gram = batch.mT @ batch
    return (gram - torch.eye(gram.shape[-1], dtype=gram.dtype, device=gram.device)).square().sum()


def _srip(batch: Tensor, iterations: int) -> Tensor:
    """The gradient is that with the direction held, which at the end of the iteration is the exact one."""
    with torch.no_grad():
        vector = generic_directions(batch.shape[2], 1, batch).expand(len(batch), -1, 1)
        for _ in range(iterations):
            vector = torch.nn.functional.normalize(_off(batch, vector), dim=1)
        # Where there is nothing left to find the direction is zero, and so is the term.
    return torch.linalg.vector_norm(_off(batch, vector), dim=1).sum()


def _off(batch: Tensor, vector: Tensor) -> Tensor:
    return batch.mT @ (batch @ vector) - vector
