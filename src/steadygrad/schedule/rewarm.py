"""Warm up again after an incident, without the schedule noticing."""

import math
from collections.abc import Mapping
from typing import Any, Literal
from weakref import WeakKeyDictionary

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LRScheduler
from torch.utils.hooks import RemovableHandle

from .._rate import LoweredRate, can_lower


class Rewarm:
    """A ramp over the next steps of one optimizer; made by `rewarm`.

    `remaining` is the number of steps that are still to be made with a lower rate, 0 when it is over.
    """

    def __init__(self, optimizer: Optimizer) -> None:
        self._optimizer = optimizer
        self._rate = LoweredRate()
        self._hooks: list[RemovableHandle] = []
        self._steps, self._factor, self._kind = 0, 1.0, "linear"
        self.remaining = 0

    def start(self, steps: int, factor: float, kind: str) -> None:
        """Begin, or begin anew."""
        self._steps, self._factor, self._kind = steps, factor, kind
        self.remaining = steps
        if not self._hooks:
            self._hooks = [
                self._optimizer.register_step_pre_hook(self._before),
                self._optimizer.register_step_post_hook(self._after),
            ]

    def stop(self) -> None:
        """End now: the next step is made with the script's own rate."""
        self.remaining = 0
        self._rate.restore()
        for hook in self._hooks:
            hook.remove()
        self._hooks = []

    def state_dict(self) -> dict[str, Any]:
        """Where the ramp is, to be kept in a checkpoint."""
        return {
            "steps": self._steps,
            "factor": self._factor,
            "kind": self._kind,
            "remaining": self.remaining,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self.start(int(state["steps"]), float(state["factor"]), str(state["kind"]))
        self.remaining = int(state["remaining"])
        if not self.remaining:
            self.stop()

    def level(self) -> float:
        """What the next step's rate is multiplied by."""
        share = 1 - self.remaining / self._steps if self.remaining else 1.0
        if self._kind == "cosine":
            share = (1 - math.cos(math.pi * share)) / 2
        return self._factor + (1 - self._factor) * share

    def _before(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._rate.apply(optimizer, self.level())

    def _after(self, optimizer: Optimizer, args: Any, kwargs: Any) -> None:
        self._rate.restore()
        self.remaining = max(0, self.remaining - 1)
        if not self.remaining:
            self.stop()


_RAMPS: "WeakKeyDictionary[Optimizer, Rewarm]" = WeakKeyDictionary()


def rewarm(
    optimizer: Optimizer | LRScheduler,
    steps: int,
    *,
    factor: float = 0.1,
    kind: Literal["linear", "cosine"] = "linear",
) -> Rewarm:
    r"""Multiply what the schedule gives by a ramp, from `factor` to 1 over the next steps; then nothing.

    .. math:: \eta_k \cdot (f + (1 - f)\, s(k / K)), \qquad k = 0, \dots, K - 1, \quad s(x) = x
        \text{ or } \tfrac{1 - \cos \pi x}{2}

    The rate is lowered around each step and put back to the last bit after it: the script's scheduler, of whatever
    kind, never sees it. When the ramp is over nothing of it is left on the optimizer. A call during a ramp begins it
    anew; with `sg.watch`, it may come from `on_incident`. The guard's own lowered rate, if any, multiplies too.
    After a reset of Adam's moments `kind="cosine", factor=0.01, steps=150` is what SPAM does.

    Args:
        optimizer: the optimizer, or its scheduler.
        steps: :math:`K`, steps until the schedule's own rate is back.
        factor: :math:`f`, in (0, 1], what the first of them is multiplied by.
        kind: "linear" or "cosine".

    Returns:
        The ramp, with `remaining`, `stop()`, `state_dict()` and `load_state_dict()`.

    Raises:
        ValueError: an argument is out of its range, or the optimizer finds its learning rate itself.

    Example:
        >>> import torch
        >>> weight = torch.zeros(1, requires_grad=True)
        >>> optimizer = torch.optim.SGD([weight], lr=1.0)
        >>> ramp = rewarm(optimizer, 2, factor=0.5)
        >>> for _ in range(3):
        ...     weight.grad = torch.ones(1)
        ...     optimizer.step()
        ...     print(weight.item(), optimizer.param_groups[0]["lr"], ramp.remaining)
        -0.5 1.0 1
        -1.25 1.0 0
        -2.25 1.0 0

    References:
        Huang et al., "SPAM: Spike-aware Adam with momentum reset for stable LLM training", 2025.
    """
    target = optimizer if isinstance(optimizer, Optimizer) else optimizer.optimizer
    if steps < 1:
        raise ValueError(f"steps is {steps}, expected at least 1")
    if not 0 < factor <= 1:
        raise ValueError(f"factor is {factor}, expected above 0 and at most 1")
    if kind not in ("linear", "cosine"):
        raise ValueError(f"kind is {kind!r}, expected 'linear' or 'cosine'")
    if not can_lower(target):
        raise ValueError(f"{type(target).__name__} finds its learning rate itself, so there is none to ramp")
    if target not in _RAMPS:
        _RAMPS[target] = Rewarm(target)
    ramp = _RAMPS[target]
    ramp.start(steps, factor, kind)
    return ramp
