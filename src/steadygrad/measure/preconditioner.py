"""What an adaptive optimizer divides gradients by: the diagonal in which its steps are gradient descent."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar

FLOOR = 0.01
"""An estimated second moment is at least this part of its tensor's mean."""

_ADAM = re.compile(r"(Fused|CPU|DeepSpeedCPU|Paged)?AdamW?(8bit|32bit)?")


def family(optimizer: Optimizer) -> str | None:
    """Which rule an optimizer follows: "SGD", "Adam" (AdamW too), "RMSprop", or None for any other.

    Wrappers that hold the optimizer as `optimizer` are looked into; subclasses count as what they derive from.

    Example:
        >>> family(torch.optim.AdamW([torch.zeros(1, requires_grad=True)]))
        'Adam'
    """
    optimizer = inner(optimizer)
    keys = set(optimizer.param_groups[0])
    for name in (each.__name__ for each in type(optimizer).__mro__):
        if name == "SGD" and "lr" in keys:
            return "SGD"
        if _ADAM.fullmatch(name) and {"lr", "betas", "eps"} <= keys:
            return "Adam"
        if name == "RMSprop" and {"lr", "alpha", "eps"} <= keys:
            return "RMSprop"
    return None


def inner(optimizer: Any) -> Optimizer:
    """The optimizer that a wrapper holds."""
    while isinstance(getattr(optimizer, "optimizer", None), Optimizer):
        optimizer = optimizer.optimizer
    return optimizer


@torch.no_grad()
def preconditioner(optimizer: Optimizer, gradients: Sequence[Tensor] | None = None) -> list[Tensor]:
    r"""The diagonal :math:`D` of an optimizer, whose step is :math:`-\eta D^{-1} m`; one tensor for each parameter.

    For Adam :math:`D = \sqrt{\hat v} + \epsilon`, for RMSprop :math:`\sqrt{v} + \epsilon`, else ones. A parameter that
    has not been stepped has no second moment yet. It is estimated from a batch's gradient: the square of each element
    would be far too noisy, and zero where the gradient happens to be; so of a matrix (the first dimension against all
    others) only row and column means are taken, as Adafactor does, of a vector the mean:

    .. math:: v_{ij} = \max\left(\frac{R_i C_j}{\bar R},\; 0.01\, \bar R\right), \quad
        R_i = \overline{g_{i\cdot}^2}, \quad C_j = \overline{g_{\cdot j}^2}

    Args:
        optimizer: of any kind, see `family`.
        gradients: one for each parameter, in the order of the optimizer's groups, for those without a second moment.

    Returns:
        Tensors that broadcast to the parameters, in the order of the optimizer's groups; infinite for a parameter
        whose whole gradient is zero: it would not move.

    Raises:
        ValueError: a parameter has no second moment yet, and no gradients are given.

    Example:
        >>> weight = torch.zeros(2, 2, requires_grad=True)
        >>> preconditioner(torch.optim.Adam([weight]), [torch.tensor([[4.0, 2.0], [2.0, 1.0]])])
        [tensor([[4., 2.],
                [2., 1.]])]

    References:
        Shazeer and Stern, "Adafactor: Adaptive learning rates with sublinear memory cost", 2018.
    """
    kind = family(optimizer)
    found: list[Tensor] = []
    for group in inner(optimizer).param_groups:
        for param in group["params"]:
            if kind not in ("Adam", "RMSprop"):
                found.append(torch.ones((), device=param.device))
                continue
            moment = _second_moment(group, inner(optimizer).state.get(param, {}))
            if moment is None:
                if gradients is None:
                    raise ValueError(
                        f"{type(optimizer).__name__} has made no step yet, so it has no second moments: "
                        "give the gradients of a batch"
                    )
                moment = _estimated(gradients[len(found)])
            found.append(moment.sqrt() + group["eps"])
    return found


def _second_moment(group: Mapping[str, Any], state: Mapping[str, Any]) -> Tensor | None:
    """The bias-corrected second moment of a parameter that has been stepped."""
    if "square_avg" in state:
        mean = state.get("grad_avg")
        return state["square_avg"] if mean is None else (state["square_avg"] - mean * mean).clamp_(min=0)
    steps = read_tensor_scalar(state.get("step"))
    moment = state.get("max_exp_avg_sq", state.get("exp_avg_sq"))
    if not isinstance(moment, Tensor) or not moment.is_floating_point() or not steps:
        return None
    return moment / (1 - (read_tensor_scalar(group["betas"][1]) or 0.0) ** steps)


def _estimated(gradient: Tensor) -> Tensor:
    squares = gradient.detach().to(torch.promote_types(gradient.dtype, torch.float32)).square()
    mean = squares.mean()
    if gradient.ndim < 2:
        estimate = mean
    else:
        matrix = squares.flatten(1)
        rows, columns = matrix.mean(1), matrix.mean(0)
        estimate = torch.maximum(torch.outer(rows, columns) / mean, FLOOR * mean).view(gradient.shape)
    # 0 / 0 where the whole gradient is zero.
    return torch.where(mean > 0, estimate, math.inf)
