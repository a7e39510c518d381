"""Steps that are too short for the digits of the weights."""

from collections.abc import Sequence

import torch
from torch import Tensor

SHORT = frozenset({torch.bfloat16, torch.float16})
"""Types of weights with so few digits that a usual step may be less than half of the last one."""


@torch.no_grad()
def rounded_away(moved: Sequence[Tensor], grads: Sequence[Tensor | None]) -> Tensor | None:
    r"""The share of the entries with a gradient that a step has left as they were, of weights in half precision.

    A bfloat16 has eight digits: :math:`w - \Delta` is :math:`w` again where :math:`|\Delta| < 2^{-9} |w|` or so. With
    Adam's steps of length :math:`\eta` that is nearly everywhere, for a rate that is usual in float32.

    Args:
        moved: what the step has changed of each weight, in its own type.
        grads: the gradient of each; None or sparse where there is none to be compared.

    Returns:
        A 0-d float32 from 0 to 1; None without such weights.

    Example:
        >>> weight = torch.ones(4, dtype=torch.bfloat16)
        >>> moved = weight - (weight - torch.tensor([1e-4, 1e-4, 1e-4, 1e-2]).bfloat16())
        >>> rounded_away([moved], [torch.ones(4, dtype=torch.bfloat16)]).item()
        0.75

    Reference: Zamirai et al., "Revisiting bfloat16 training", 2020.
    """
    asked = [
        (change, grad != 0)
        for change, grad in zip(moved, grads, strict=True)
        if change.dtype in SHORT and grad is not None and not grad.is_sparse and grad.shape == change.shape
    ]
    if not asked:
        return None
    device = asked[0][0].device
    still = sum(((change == 0) & given).sum().to(device) for change, given in asked)
    every = sum(given.sum().to(device) for _, given in asked)
    return torch.as_tensor(still / torch.as_tensor(every).clamp(min=1), dtype=torch.float32)
