"""The learning rate, lowered around the steps of one optimizer and nowhere else."""

import math
import weakref
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
        self._lowered: list[_Group] = []

    def apply(self, optimizer: Optimizer, factor: float) -> None:
        """Lower the rates. Rates that an earlier step could not put back, because it raised, are put back first."""
        self.restore()
        if factor == 1.0:
            return
        for group in optimizer.param_groups:
            if isinstance(group.get("lr"), (int, float, Tensor)):
                lowered = _LOWERED.get(id(group))
                if lowered is None:
                    lowered = _LOWERED[id(group)] = _Group(group)
                lowered.shares[id(self)] = factor
                lowered.settle()
                self._lowered.append(lowered)

    def restore(self) -> None:
        """Put back what `apply` found, as far as nobody else has lowered it too."""
        for lowered in self._lowered:
            del lowered.shares[id(self)]
            lowered.settle()
        self._lowered.clear()


class _Group:
    """A group whose rate is lowered, by one or by several: whoever comes first need not be the last to go."""

    def __init__(self, group: dict[str, Any]) -> None:
        self.group = group
        self.shares: dict[int, float] = {}
        self._rate = group["lr"]
        self._copy = self._rate.clone() if isinstance(self._rate, Tensor) else None

    def settle(self) -> None:
        """Set the rate to what all of them leave of it."""
        if self._copy is not None:
            # Captured and compiled steps read the tensor that they know: it changes in place.
            self._rate.copy_(self._copy)
            for share in self.shares.values():
                self._rate.mul_(share)
        else:
            self.group["lr"] = math.prod(self.shares.values(), start=self._rate)
        if not self.shares:
            _LOWERED.pop(id(self.group), None)


_LOWERED: weakref.WeakValueDictionary[int, _Group] = weakref.WeakValueDictionary()
"""By the identity of a group; gone when nobody lowers it any more, or whoever did is gone."""


def can_lower(optimizer: Optimizer) -> bool:
    """Whether a lower rate makes shorter steps: not where the optimizer finds its own (`lr=None`, Prodigy's `d`)."""
    groups = optimizer.param_groups
    return all(isinstance(group.get("lr"), (int, float, Tensor)) and "d" not in group for group in groups)
