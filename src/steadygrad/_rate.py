"""The learning rate, lowered around the steps of one optimizer and nowhere else."""

from typing import Any

from torch import Tensor
from torch.optim import Optimizer


class LoweredRate:
    """Multiplies the learning rates of an optimizer for the time of a step, and puts them back to the last bit.

    Schedulers compute the next rate from the last: what they find between steps must be their own. So nothing is left
    lowered, and nothing is divided back: the value that was there is kept and restored.

    Example:
        >>> import torch
        >>> optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=0.3)
        >>> rate = LoweredRate()
        >>> rate.apply(optimizer, 0.5)
        >>> optimizer.param_groups[0]["lr"]
        0.15
        >>> rate.restore()
        >>> optimizer.param_groups[0]["lr"]
        0.3
    """

    def __init__(self) -> None:
        self._kept: list[tuple[dict[str, Any], Any, Any]] = []

    def apply(self, optimizer: Optimizer, factor: float) -> None:
        """Lower the rates. Rates that an earlier step could not put back, because it raised, are put back first."""
        self.restore()
        if factor == 1.0:
            return
        for group in optimizer.param_groups:
            rate = group.get("lr")
            if isinstance(rate, Tensor):
                # Captured and compiled steps read the tensor that they know: it changes in place.
                self._kept.append((group, rate, rate.clone()))
                rate.mul_(factor)
            elif isinstance(rate, (int, float)):
                self._kept.append((group, rate, None))
                group["lr"] = rate * factor

    def restore(self) -> None:
        """Put back what `apply` found."""
        for group, rate, copy in self._kept:
            if copy is not None:
                rate.copy_(copy)
            else:
                group["lr"] = rate
        self._kept.clear()


def can_lower(optimizer: Optimizer) -> bool:
    """Whether a lower rate makes shorter steps: not where the optimizer finds its own (`lr=None`, Prodigy's `d`)."""
    groups = optimizer.param_groups
    return all(isinstance(group.get("lr"), (int, float, Tensor)) and "d" not in group for group in groups)
