"""The largest eigenvalue of a symmetric operator that is known by its products only."""

import math
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from .._readback import read_vector

BASIS_BYTES = 1 << 28
"""Memory for Lanczos vectors. Of large models only the last few are kept, which the largest eigenvalue can stand."""

FEWEST = 4
"""Products before an estimate is believed: by chance the first Ritz values may agree."""


@dataclass(frozen=True)
class Eigenvalue:
    """The largest eigenvalue, as far as it is known.

    `relative_error` bounds how far the value is from an eigenvalue; `converged` says that this is within the
    tolerance.
    """

    value: float
    iterations: int
    relative_error: float
    converged: bool


def largest_eigenvalue(
    product: Callable[[Tensor], Tensor],
    start: Tensor,
    *,
    iterations: int,
    tolerance: float,
    seconds: float | None = None,
) -> Eigenvalue:
    r"""The largest algebraic eigenvalue, by Lanczos with reorthogonalisation.

    Ritz values grow towards the largest eigenvalue from below: a search that ends early gives a lower bound. The
    relative error is :math:`\|A y - \theta y\| / |\theta|` of the largest Ritz pair: there is an eigenvalue within it
    (and usually one much closer). That it is the largest is all but certain, unless two lie within a few percent.

    Args:
        product: the operator, from a vector to a vector.
        start: a vector with a part in every direction.
        iterations: products at the most.
        tolerance: the relative error at which the search ends.
        seconds: the time after which no further product is begun; None for no limit.

    Returns:
        The eigenvalue; NaN if a product is not finite.

    Example:
        >>> matrix = torch.diag(torch.tensor([1.0, -5.0, 3.0]))
        >>> found = largest_eigenvalue(lambda v: matrix @ v, torch.ones(3), iterations=5, tolerance=1e-4)
        >>> round(found.value, 4), found.iterations, found.converged
        (3.0, 3, True)

    References:
        Lanczos, "An iteration method for the solution of the eigenvalue problem", 1950.
        Paige, "Computational variants of the Lanczos method for the eigenproblem", 1972.
    """
    began = time.monotonic()
    room = max(2, min(iterations, BASIS_BYTES // (start.numel() * start.element_size())))
    basis: deque[Tensor] = deque([start / torch.linalg.vector_norm(start)], maxlen=room)
    diagonal: list[float] = []
    beside: list[float] = []
    found = Eigenvalue(math.nan, 0, math.inf, False)
    longest = 0.0
    for count in range(1, iterations + 1):
        at = time.monotonic()
        if count > 1 and seconds is not None and at - began + longest > seconds:
            return found
        newest = basis[-1]
        image = product(newest)
        along = torch.dot(newest, image)
        image = image.sub_(newest * along) if count == 1 else image.sub_(newest * along).sub_(basis[-2] * beside[-1])
        for each in basis:
            image.sub_(each * torch.dot(each, image))
        length = torch.linalg.vector_norm(image)
        read = read_vector([([0, 1], torch.stack([along, length]))], 2, math.nan)
        alpha, beta = float(read[0]), float(read[1])
        if not (math.isfinite(alpha) and math.isfinite(beta)):
            return Eigenvalue(math.nan, count, math.inf, False)
        diagonal.append(alpha)
        values, vectors = np.linalg.eigh(np.diag(diagonal) + np.diag(beside, 1) + np.diag(beside, -1))
        largest, size = float(values[-1]), float(np.abs(values).max())
        residual = beta * abs(float(vectors[-1, -1]))
        # Of an operator of few dimensions, or of low rank, everything has been seen.
        exhausted = beta <= 10 * torch.finfo(start.dtype).eps * size
        relative = 0.0 if exhausted else residual / abs(largest) if largest else math.inf
        converged = exhausted or (count >= FEWEST and relative <= tolerance)
        found = Eigenvalue(largest, count, relative, converged)
        if converged:
            return found
        beside.append(beta)
        basis.append(image / length)
        longest = max(longest, time.monotonic() - at)
    return found
