"""Numbers far outside of the range that the data has had, limited to it wherever they meet what is trained."""

from typing import Any

import torch
from torch import Tensor

from .._readback import any_nonfinite
from ..measure.forward_trace import MULTIPLICATIONS
from ..preflight.variants import feature_dim
from .data import Data
from .functions import holds_anywhere

FAR = 8.0
"""How many times farther from the middle than anything before, by which a number is out of range."""

CALLS, NUMBERS = 4, 64
"""Calls, and numbers of each feature, without which no range is known."""

IN_A_ROW = 8
"""Calls with numbers out of range in a row after which that is the range of the data now."""


class WinsoriseFeatures(Data):
    """Numbers many times farther out than all before are put to the end of the range that their feature has had.

    While weights are trained, and not in an evaluation. A feature that has been constant so far is judged by the range
    of the others beside it: a rare one is no outlier.
    """

    remedy = "winsorise-features"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._ranges: dict[tuple[Any, ...], Range] = {}

    def met(self, value: Tensor, trained: Tensor | None, site: tuple[Any, ...]) -> Tensor:
        """Limit it."""
        # What is broadcast beside something trained is a mask or a scale more often than data.
        is_used = trained is None or trained.shape == value.shape or site[0] in MULTIPLICATIONS
        if not is_used or not torch.is_grad_enabled():
            return value
        dim = feature_dim(value)
        key = *site, value.ndim, None if dim is None else value.shape[dim], value.device
        limited = self._ranges.setdefault(key, Range()).limited(value, dim)
        self.times += limited is not value
        return limited


class Range:
    """The lowest and highest number of each feature over the calls so far."""

    def __init__(self) -> None:
        self._calls = 0
        self._numbers = 0
        self._in_a_row = 0
        self._low: Any = None
        self._high: Any = None

    @torch.no_grad()
    def limited(self, value: Tensor, dim: int | None) -> Tensor:
        """A tensor within the range, which it widens where it is not far outside of it.

        Example:
            >>> known = Range()
            >>> rows = torch.linspace(-1, 1, 64).unsqueeze(1)
            >>> [known.limited(rows, 1) is rows for _ in range(CALLS)]
            [True, True, True, True]
            >>> known.limited(torch.tensor([[0.5], [3.0], [-1e6]]), 1).flatten().tolist()
            [0.5, 3.0, -1.0]
        """
        over = [place for place in range(value.ndim) if place != dim]
        low, high = value.amin(over, keepdim=True), value.amax(over, keepdim=True)
        if self._calls >= CALLS and self._numbers >= NUMBERS and self._in_a_row < IN_A_ROW:
            lowest, highest, bottom, top = self._limits()
            outside = (value < lowest) | (value > highest)
            if holds_anywhere(outside):
                self._in_a_row += 1
                return torch.where(outside, torch.minimum(torch.maximum(value, bottom), top), value)
        self._in_a_row = 0
        if not any_nonfinite([low, high]):
            self._calls += 1
            self._numbers += value.numel() // low.numel()
            self._low = low if self._low is None else torch.minimum(self._low, low)
            self._high = high if self._high is None else torch.maximum(self._high, high)
        return value

    def _limits(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Between which numbers are left alone, and to which the others are put."""
        half = (self._high - self._low) / 2
        constant = half <= 0
        half = torch.where(constant, half.amax(), half)
        bottom = torch.where(constant, self._high - half, self._low)
        top = torch.where(constant, self._low + half, self._high)
        middle = bottom / 2 + top / 2
        reach = torch.where(half > 0, FAR * half, torch.inf)
        return middle - reach, middle + reach, bottom, top
