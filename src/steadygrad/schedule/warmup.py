"""Warm-up: the learning rate rises to its value, since the first steps are made where the loss is sharpest."""

import math
from typing import Literal

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LinearLR, LRScheduler, MultiplicativeLR

from .shapes import InverseSqrt


def warmup(optimizer: Optimizer, steps: int, kind: Literal["linear", "inverse-sqrt"] = "linear") -> LRScheduler:
    r"""Raise the learning rate linearly over the first steps; then hold it, or let it fall with the root of the step.

    .. math:: \eta_t = \eta \cdot \min\left(\frac{t + 1}{T},\; 1\right)
        \quad\text{or}\quad \eta \cdot \min\left(\frac{t + 1}{T},\; \sqrt{\frac{T}{t + 1}}\right)

    Every parameter group keeps its own rate. The rate is multiplied step by step, so that other schedulers may follow:
    call `step` of both after the optimizer's.

    Args:
        optimizer: its learning rates are those to reach.
        steps: :math:`T`, steps until then; the first is made with a `1 / steps` of it.
        kind: what follows: "linear" holds the rate, "inverse-sqrt" lets it fall.

    Returns:
        A scheduler of torch; `step()` it after each step of the optimizer.

    Raises:
        ValueError: `steps` is below 1, or `kind` unknown.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=0.4)
        >>> scheduler = warmup(optimizer, 4)
        >>> for _ in range(5):
        ...     print(round(optimizer.param_groups[0]["lr"], 6))
        ...     optimizer.step()
        ...     scheduler.step()
        0.1
        0.2
        0.3
        0.4
        0.4

    References:
        Goyal et al., "Accurate, large minibatch SGD: Training ImageNet in 1 hour", 2017.
        Vaswani et al., "Attention is all you need", 2017.
    """
    if kind not in ("linear", "inverse-sqrt"):
        raise ValueError(f"kind is {kind!r}, expected 'linear' or 'inverse-sqrt'")
    rise = ramp(optimizer, steps)
    if kind == "linear":
        return rise
    return ChainedScheduler([rise, MultiplicativeLR(optimizer, InverseSqrt(steps))], optimizer)


def ramp(optimizer: Optimizer, steps: int) -> LinearLR:
    """The rise itself: factors 1 / steps, 2 / steps and so on, up to 1."""
    if steps < 1 or not math.isfinite(steps):
        raise ValueError(f"steps is {steps}, expected at least 1")
    return LinearLR(optimizer, start_factor=1 / steps, total_iters=steps - 1)
