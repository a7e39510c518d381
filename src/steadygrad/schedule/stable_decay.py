"""Warm-up, stable, decay: a schedule whose length need not be known when it starts."""

from typing import Literal, get_args

from torch.optim import Optimizer
from torch.optim.lr_scheduler import ChainedScheduler, LRScheduler, MultiplicativeLR

from .shapes import Decay
from .warmup import ramp

Kind = Literal["linear", "cosine", "1-sqrt"]


def warmup_stable_decay(
    optimizer: Optimizer, warmup: int, stable: int, decay: int, kind: Kind = "1-sqrt", final: float = 0.0
) -> LRScheduler:
    r"""Raise the learning rate, hold it, and let it fall at the end.

    With :math:`s` the share of the decay that is over, the rate falls as

    .. math:: \frac{\eta_t}{\eta} = f + (1 - f) \cdot \left\{ 1 - s,\;
        \tfrac{1 + \cos \pi s}{2},\; 1 - \sqrt{s} \right\}

    Every parameter group keeps its own rate; other schedulers may follow.

    Args:
        optimizer: its learning rates are those of the stable part.
        warmup: steps of linear rise; 0 for none.
        stable: steps at the full rate.
        decay: steps of decay.
        kind: its shape: "linear", "cosine" or "1-sqrt".
        final: :math:`f`, the part of the rate that is left at the end and after it.

    Returns:
        A scheduler of torch; `step()` it after each step of the optimizer.

    Raises:
        ValueError: a length is negative, `decay` is 0, `kind` unknown, or `final` not within [0, 1].

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=1.0)
        >>> scheduler = warmup_stable_decay(optimizer, 2, 2, 4, kind="linear")
        >>> rates = []
        >>> for _ in range(9):
        ...     rates.append(round(optimizer.param_groups[0]["lr"], 6))
        ...     optimizer.step()
        ...     scheduler.step()
        >>> rates
        [0.5, 1.0, 1.0, 1.0, 1.0, 0.75, 0.5, 0.25, 0.0]

    References:
        Hu et al., "MiniCPM: Unveiling the potential of small language models with scalable training strategies", 2024.
        Hägele et al., "Scaling laws and compute-optimal training beyond fixed training durations", 2024.
    """
    if warmup < 0 or stable < 0 or decay < 1:
        raise ValueError(f"warmup, stable and decay are {warmup}, {stable} and {decay}, expected at least 0, 0 and 1")
    if kind not in get_args(Kind):
        raise ValueError(f"kind is {kind!r}, expected one of {', '.join(get_args(Kind))}")
    if not 0 <= final <= 1:
        raise ValueError(f"final is {final}, expected a part of the rate, from 0 to 1")
    fall = Decay(since=warmup + stable, steps=decay, final=final, kind=kind)
    # Before the fall, so that both start from the full rate.
    parts: list[LRScheduler] = [ramp(optimizer, warmup)] if warmup else []
    return ChainedScheduler([*parts, MultiplicativeLR(optimizer, fall)], optimizer)
