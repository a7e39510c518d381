"""Gradient flossing: a recurrence whose perturbations neither grow nor shrink."""

from typing import Any

from torch import Tensor, nn

from ..measure import lyapunov_exponents
from ..measure.lyapunov import Recurrence
from .weights import total

EXPONENTS = 8
"""How many exponents are pushed to zero."""


def gradient_flossing(
    rnn: Recurrence,
    inputs: Any,
    state: Any = None,
    *,
    k: int = EXPONENTS,
    warmup: int | None = None,
) -> Tensor:
    r"""The squared leading Lyapunov exponents of a recurrence, :math:`\sum_{i \le k} \lambda_i^2`, to be made small.

    Where they are 0 a gradient neither explodes nor vanishes in k directions, however far back it goes. Meant for some
    hundred steps before the training, on inputs alone: pieces of some fifteen steps, each with the final state of the
    one before, are enough. Each layer and direction of a module is counted. It costs several training steps of the
    layer, which it runs step by step. A net that vanishes is mended with k from 8 to 16; in a chaotic one only k of 1
    to 4 does anything, and a better initialisation does more.

    Args:
        rnn: `nn.RNN`, `nn.LSTM`, `nn.GRU`, a cell of torch, or `step(state, input) -> state`, as
            `measure.lyapunov_exponents` takes it.
        inputs: as there.
        state: as there.
        k: how many exponents, of a smaller state all of them. More keep more directions open and cost more.
        warmup: as there.

    Returns:
        0-d, differentiable, float32 or float64. Not finite where the Jacobian is singular in one of the directions (a
        relu layer with few units alive: take a smaller k) or the state is not finite.

    Raises:
        ValueError: as `lyapunov_exponents`.

    Example:
        >>> import torch
        >>> rnn = torch.nn.RNN(1, 8, bias=False)
        >>> optimizer = torch.optim.Adam(rnn.parameters(), lr=1e-2)
        >>> inputs = torch.randn(30, 2, 1)
        >>> for _ in range(60):
        ...     loss = gradient_flossing(rnn, inputs, k=2)
        ...     optimizer.zero_grad()
        ...     loss.backward()
        ...     optimizer.step()
        >>> bool(loss < 0.01)
        True

    References:
        Engelken, "Gradient flossing: improving gradient descent through dynamic control of Jacobians", 2023.
    """
    places = [(0, 0)]
    if isinstance(rnn, nn.RNNBase):
        places = [(layer, way) for layer in range(rnn.num_layers) for way in range(1 + rnn.bidirectional)]
    spectra = [
        lyapunov_exponents(rnn, inputs, state, k=k, warmup=warmup, layer=layer, direction=way) for layer, way in places
    ]
    return total([spectrum.square().sum() for spectrum in spectra])
