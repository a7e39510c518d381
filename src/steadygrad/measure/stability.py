"""How sharp a loss may be for an optimizer's steps, and how close a training is to that."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .hessian import HessianProduct, Loss
from .preconditioner import family, inner, preconditioner
from .sharpness import measured


@dataclass(frozen=True)
class StabilityLimit:
    """The sharpness beyond which the steps of an optimizer diverge on a quadratic.

    `value` is for the present learning rate (infinite at zero), `formula` how it comes about; `preconditioned` says
    that it is about the Hessian preconditioned by the optimizer's second moments. `weight_decay` adds to every
    eigenvalue (as L2 penalty, and nearly so where it is decoupled); it is small beside the limit and not counted.
    """

    value: float
    formula: str
    preconditioned: bool
    weight_decay: float


def stability_limit(optimizer: Optimizer, group: int = 0) -> StabilityLimit | None:
    r"""The largest stable sharpness for one parameter group of an optimizer.

    ======================== ==========================================================
    SGD                      :math:`2 / \eta`
    heavy ball               :math:`2 (1 + \mu) / ((1 - \tau)\, \eta)`, dampening :math:`\tau`
    Nesterov                 :math:`2 (1 + \mu) / ((1 + 2 \mu)\, \eta)`
    Adam, AdamW              :math:`2 (1 + \beta_1) / ((1 - \beta_1)\, \eta)`, preconditioned
    RMSprop                  :math:`2 (1 + \mu) / \eta`, preconditioned
    ======================== ==========================================================

    Args:
        optimizer: any; subclasses and wrappers of those above are known.
        group: the place of the parameter group.

    Returns:
        The limit; None for an optimizer that is none of these, or has no learning rate.

    Example:
        >>> weight = torch.zeros(1, requires_grad=True)
        >>> stability_limit(torch.optim.SGD([weight], lr=0.1)).value
        20.0
        >>> limit = stability_limit(torch.optim.Adam([weight], lr=0.001))
        >>> round(limit.value), limit.formula
        (38000, '2 (1 + beta1) / ((1 - beta1) lr)')

    References:
        Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
        Cohen et al., "Adaptive gradient methods at the edge of stability", 2022.
    """
    chosen = inner(optimizer).param_groups[group]
    return _limit(family(optimizer), chosen, read_tensor_scalar(chosen.get("lr")))


def _limit(kind: str | None, group: Mapping[str, Any], rate: float | None) -> StabilityLimit | None:
    if kind is None or rate is None:
        return None
    momentum = _number(group, "momentum")
    if kind == "Adam":
        beta = read_tensor_scalar(group["betas"][0]) or 0.0
        factor, formula = 2 * (1 + beta) / (1 - beta), "2 (1 + beta1) / ((1 - beta1) lr)"
    elif momentum == 0:
        factor, formula = 2.0, "2 / lr"
    elif group.get("nesterov"):
        factor, formula = 2 * (1 + momentum) / (1 + 2 * momentum), "2 (1 + momentum) / ((1 + 2 momentum) lr)"
    elif _number(group, "dampening"):
        damped = 1 - _number(group, "dampening")
        factor = 2 * (1 + momentum) / damped if damped > 0 else math.inf
        formula = "2 (1 + momentum) / ((1 - dampening) lr)"
    else:
        factor, formula = 2 * (1 + momentum), "2 (1 + momentum) / lr"
    value = factor / rate if rate > 0 else math.inf
    return StabilityLimit(value, formula, kind != "SGD", _number(group, "weight_decay"))


def _number(group: Mapping[str, Any], key: str) -> float:
    return read_tensor_scalar(group.get(key)) or 0.0


@dataclass(frozen=True)
class StepSharpness:
    """How close the steps of an optimizer are to the limit of stability.

    `ratio` (0-d) is sharpness over `limit`: above 1, a step makes the loss along the sharpest direction larger. `limit`
    is that of the parameter group with the smallest one, `formula` how it comes about; parameters of other groups are
    weighed by theirs. `preconditioned` says that it is about the preconditioned Hessian, `estimated` that second
    moments were estimated from the batch. The rest is as in `Sharpness`.
    """

    ratio: Tensor
    limit: float
    formula: str
    preconditioned: bool
    estimated: bool
    iterations: int
    relative_error: float
    converged: bool

    @property
    def sharpness(self) -> Tensor:
        """The (preconditioned) sharpness itself, 0-d."""
        return self.ratio * self.limit if math.isfinite(self.limit) else self.ratio


def step_sharpness(
    loss: Loss,
    optimizer: Optimizer,
    *,
    rates: Sequence[float] | None = None,
    iterations: int = 30,
    tolerance: float = 0.05,
    seconds: float | None = None,
    generator: torch.Generator | None = None,
) -> StepSharpness | None:
    r"""Sharpness times learning rate, over what is stable for this optimizer: above 1 is beyond the edge.

    With the limit :math:`\ell_p = c_p / \eta_p` and the preconditioner :math:`D_p` of each parameter's own group,

    .. math:: \text{ratio} =
        \lambda_1\left( (D \ell)^{-1/2}\, \frac{\partial^2 L}{\partial w^2}\, (D \ell)^{-1/2} \right)

    which is exact for groups of different rates, and an interpolation where their momenta differ. For gradient descent
    it is half of sharpness times learning rate. With `maximize=True` the curvature of the ascended loss counts.

    Args:
        loss: a live scalar, or a function that builds one, see `sharpness`.
        optimizer: its parameters, learning rates and, if it has made a step, second moments count; nothing is changed.
        rates: learning rates to suppose, one for each parameter group, in place of the present ones.
        iterations, tolerance, seconds, generator: see `sharpness`.

    Returns:
        The ratio; None for an optimizer whose limit is not known, see `stability_limit`.

    Raises:
        ValueError: the loss is no scalar that depends on the optimizer's parameters, or only some groups maximize.
        NoSecondDerivative: an operation of the loss has no double backward.

    Example:
        >>> weight = torch.tensor([1.0, 1.0], requires_grad=True)
        >>> optimizer = torch.optim.SGD([weight], lr=0.3)
        >>> found = step_sharpness(lambda: 5 * (weight * weight).sum(), optimizer)
        >>> round(found.ratio.item(), 4), round(found.sharpness.item(), 4), found.formula
        (1.5, 10.0, '2 / lr')

    References:
        Cohen et al., "Adaptive gradient methods at the edge of stability", 2022.
    """
    groups = inner(optimizer).param_groups
    kind = family(optimizer)
    supposed = [read_tensor_scalar(group.get("lr")) for group in groups] if rates is None else rates
    limits = [_limit(kind, group, rate) for group, rate in zip(groups, supposed, strict=True)]
    known = [limit for limit in limits if limit is not None]
    if len(known) < len(groups):
        return None
    params = [param for group in groups for param in group["params"]]
    product = HessianProduct(_descended(loss, groups), params)
    diagonal = preconditioner(optimizer, product.gradients)
    smallest = min(known, key=lambda limit: limit.value)
    weights = [limit.value for limit, group in zip(known, groups, strict=True) for _ in group["params"]]
    weighed = [each * weight for each, weight in zip(diagonal, weights, strict=True)]
    found = measured(product, weighed, iterations, tolerance, seconds, generator)
    state = inner(optimizer).state
    return StepSharpness(
        ratio=found.value,
        limit=smallest.value,
        formula=smallest.formula,
        preconditioned=smallest.preconditioned,
        estimated=smallest.preconditioned and not any(state.get(param) for param in params),
        iterations=found.iterations,
        relative_error=found.relative_error,
        converged=found.converged,
    )


def _descended(loss: Loss, groups: Sequence[Mapping[str, Any]]) -> Loss:
    """The loss that the optimizer makes smaller."""
    ascending = {bool(group.get("maximize")) for group in groups}
    if ascending == {False}:
        return loss
    if ascending == {True, False}:
        raise ValueError("some parameter groups maximize and others do not: measure them with optimizers of their own")
    return -loss if isinstance(loss, Tensor) else lambda: -loss()
