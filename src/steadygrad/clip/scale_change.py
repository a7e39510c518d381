"""When what was taken for outliers turns out to be the new normal."""

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

AGREEMENT = math.exp(2.0)
"""Largest over smallest of a streak of outliers that agree on a new scale; a burst that grows without end does not."""


class ScaleChange:
    """Counts outliers in a row, on the device, and tells when they are a change of scale.

    The published adaptive policies have no such thing: what they clip is what they learn, so a genuine tenfold rise of
    the gradients (a longer context, another task, the end of a warm-up) is followed in thousands of steps or never.

    Args:
        patience: outliers in a row that are a change of scale; None: never.
        shape: one counter, or one for each tensor.
        like: a tensor whose dtype and device the statistics have.
    """

    def __init__(self, patience: int | None, shape: torch.Size, like: Tensor) -> None:
        self.patience = patience
        self.length = torch.zeros(shape, dtype=torch.int64, device=like.device)
        self.smallest = like.new_full(shape, math.inf)
        self.largest = like.new_zeros(shape)
        self.sum = like.new_zeros(shape)
        self.squares = like.new_zeros(shape)

    def push(self, outlier: Tensor, norms: Tensor, seen: Tensor) -> Tensor:
        """Take in a step.

        Args:
            outlier: whether a norm is one, bool of `shape`.
            norms: the norms.
            seen: whether there was anything to see: what was not neither counts nor breaks a streak.

        Returns:
            Whether the scale has changed, bool of `shape`; `smallest`, `mean` and `spread` are those of the streak.
        """
        if self.patience is None:
            return torch.zeros_like(outlier)
        hit, over = outlier & seen, seen & outlier.logical_not()
        self.length = torch.where(over, 0, self.length + hit.to(torch.int64))
        self.smallest = torch.where(
            over, math.inf, torch.where(hit, torch.minimum(self.smallest, norms), self.smallest)
        )
        self.largest = torch.where(over, 0.0, torch.where(hit, torch.maximum(self.largest, norms), self.largest))
        self.sum = torch.where(over, 0.0, torch.where(hit, self.sum + norms, self.sum))
        self.squares = torch.where(over, 0.0, torch.where(hit, self.squares + norms * norms, self.squares))
        full = self.length >= self.patience
        agree = self.largest <= AGREEMENT * self.smallest
        self.forget(full & agree.logical_not())
        return full & agree

    def mean(self) -> Tensor:
        """The mean norm of the streak."""
        return self.sum / self.length.clamp(min=1)

    def variance(self) -> Tensor:
        """Their variance."""
        return (self.squares / self.length.clamp(min=1) - self.mean().square()).clamp(min=0.0)

    def forget(self, where: Tensor) -> None:
        """Begin anew there."""
        self.length = torch.where(where, 0, self.length)
        self.smallest = torch.where(where, math.inf, self.smallest)
        self.largest, self.sum, self.squares = (
            torch.where(where, 0.0, each) for each in (self.largest, self.sum, self.squares)
        )

    def grow(self, more: int) -> None:
        """Count for so many more tensors."""
        self.length = torch.cat([self.length, self.length.new_zeros(more)])
        self.smallest = torch.cat([self.smallest, self.smallest.new_full((more,), math.inf)])
        self.largest, self.sum, self.squares = (
            torch.cat([each, each.new_zeros(more)]) for each in (self.largest, self.sum, self.squares)
        )

    def to(self, device: torch.device) -> None:
        """Go on counting on another device."""
        self.load_state_dict({name: value.to(device) for name, value in self.state_dict().items()})

    def state_dict(self) -> dict[str, Tensor]:
        """Everything needed to go on from here."""
        return {name: getattr(self, name).clone() for name in ("length", "smallest", "largest", "sum", "squares")}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        for name, value in state.items():
            setattr(self, name, value.clone())
