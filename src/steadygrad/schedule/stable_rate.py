"""The largest learning rate that is stable where the weights are, from sharpness."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from ..measure import step_sharpness
from ..measure.hessian import Loss


@dataclass(frozen=True)
class MaxStableLR:
    """A learning rate from a measured sharpness.

    `lr` is `safety` times `edge`, the rate at which a step stops being stable; `lrs` are those of all parameter groups,
    in their present proportion, `lr` the largest of them. `sharpness` is that of the (preconditioned) Hessian,
    `formula` the stable sharpness for a rate, `converged` whether sharpness was found within the tolerance (else the
    edge is lower than said), and `why` a sentence.
    """

    lr: float
    lrs: tuple[float, ...]
    edge: float
    sharpness: float
    formula: str
    converged: bool
    why: str


def max_stable_lr(
    loss: Loss,
    optimizer: Optimizer | Iterable[Tensor],
    *,
    safety: float = 0.1,
    iterations: int = 50,
    tolerance: float = 0.02,
    seconds: float | None = None,
) -> MaxStableLR:
    r"""The largest learning rate at which this optimizer's steps are stable on this loss, here and now.

    .. math:: \eta = \text{safety} \cdot \frac{c}{\lambda_1}, \qquad \text{e.g. } c = 2 \text{ for gradient descent,}
        \quad 2\, \frac{1 + \beta_1}{1 - \beta_1} \text{ with } \lambda_1 \text{ preconditioned for Adam}

    The edge is exact for a quadratic, and local: in a network sharpness rises as it trains, within few steps where
    momentum carries far. Hence `safety`. On seven architectures at their initialisation 0.1, with a warm-up, trains
    with every optimizer; 0.25 does with Adam; three times the edge is ruin for SGD. Adam's bound before its first step
    rests on second moments estimated from the batch.

    Args:
        loss: a live scalar, or a function that builds one, on a batch of the usual size; see `measure.sharpness`.
        optimizer: the optimizer to find a rate for; it is not changed. Parameters alone stand for gradient descent.
        safety: what part of the edge to use.
        iterations, tolerance, seconds: see `measure.sharpness`.

    Returns:
        The rate, and what it comes from. Infinite where the loss curves upwards in no direction.

    Raises:
        ValueError: the optimizer's limit is not known, `safety` is not in (0, 1], or the loss is no scalar, not finite,
            or has nothing to do with the parameters.
        NoSecondDerivative: an operation of the loss has no double backward.

    Example:
        >>> weight = torch.ones(2, requires_grad=True)
        >>> found = max_stable_lr(lambda: 5 * (weight**2).sum(), [weight], safety=0.5)
        >>> round(found.lr, 4), found.why
        (0.1, 'sharpness 10 and limit 2 / lr: steps are stable below lr = 0.2; 0.5 of that')

    References:
        Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
        LeCun et al., "Automatic learning rate maximization by on-line estimation of the Hessian's eigenvectors", 1992.
    """
    if not 0 < safety <= 1:
        raise ValueError(f"safety is {safety}, expected above 0 and at most 1")
    real = optimizer if isinstance(optimizer, Optimizer) else torch.optim.SGD(list(optimizer), lr=1.0)
    rates = _present_rates(real)
    top = max(rates)
    found = step_sharpness(
        loss,
        real,
        rates=[rate / top for rate in rates],
        iterations=iterations,
        tolerance=tolerance,
        seconds=seconds,
    )
    if found is None:
        raise ValueError(f"how sharp a loss {type(real).__name__} stands is not known: use a range test instead")
    ratio = read_tensor_scalar(found.ratio) or 0.0
    if math.isnan(ratio):
        raise ValueError("the loss or its derivatives are not finite, so no learning rate follows from them")
    edge = 1 / ratio if ratio > 0 else math.inf
    sharpness = ratio * found.limit
    if ratio > 0:
        kind = "preconditioned sharpness" if found.preconditioned else "sharpness"
        guess = ", second moments estimated from the batch" if found.estimated else ""
        why = (
            f"{kind} {sharpness:.4g}{guess} and limit {found.formula}: steps are stable below lr = {edge:.4g}; "
            f"{safety:g} of that"
        )
    else:
        why = "the loss curves upwards in no direction here: sharpness sets no limit"
    lrs = tuple(safety * edge * rate / top for rate in rates)
    return MaxStableLR(safety * edge, lrs, edge, sharpness, found.formula, found.converged, why)


def _present_rates(optimizer: Optimizer) -> list[float]:
    """The rates of the groups; where a warm-up stands at zero those it starts from, and ones where there are none."""
    for key in ("lr", "initial_lr"):
        rates = [read_tensor_scalar(group.get(key)) or 0.0 for group in optimizer.param_groups]
        if any(rates):
            return rates
    return [1.0] * len(optimizer.param_groups)
