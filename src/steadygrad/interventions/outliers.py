"""Numbers far outside of the range that the data has had, limited to it wherever they meet what is trained."""

import math
import sys
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from ..measure.forward_trace import MULTIPLICATIONS
from ..measure.source_line import source_line
from ..preflight.variants import feature_dim
from .data import Data
from .functions import holds_anywhere

FAR = 8.0
"""How many times farther from the middle than anything before, by which a number is out of range."""

CALLS, NUMBERS = 4, 64
"""Calls, and numbers of each feature, without which no range is known."""

IN_A_ROW = 8
"""Steps with numbers out of range in a row after which that is the range of the data now."""

MOST = 1024
"""Places whose ranges are kept; those that were not seen for the longest time go first."""


class WinsoriseFeatures(Data):
    """Numbers many times farther out than all before are put to the end of the range that their feature has had.

    While weights are trained, and not in an evaluation. A feature that has been constant so far is judged by the range
    of the others beside it: a rare one is no outlier. Two lines of the script that call the same function have ranges
    of their own.
    """

    remedy = "winsorise-features"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._places: dict[tuple[Any, ...], _Place] = {}
        self._step: int | None = None

    def met(self, value: Tensor, trained: Tensor | None, site: tuple[Any, ...]) -> Tensor:
        """Limit it."""
        # What is broadcast beside something trained is a mask or a scale more often than data.
        is_used = trained is None or trained.shape == value.shape or site[0] in MULTIPLICATIONS
        if not is_used or not torch.is_grad_enabled():
            return value
        key = *site, source_line(sys._getframe()), value.ndim, value.dtype, value.device
        place = self._places[key] = self._places.pop(key, None) or _Place(value)
        if len(self._places) > MOST:
            del self._places[next(iter(self._places))]
        limited = place.limited(value, self._step)
        self.times += limited is not value
        return limited

    def before_step(self, optimizer: Optimizer) -> bool:
        """Steps are counted, as soon as there are any."""
        self._step = (self._step or 0) + 1
        return False


class _Place:
    """A place where data is used: with a range for each feature, or one for all where their number varies.

    What varies from call to call is a length, and position 500 of one sound is none of another.
    """

    def __init__(self, value: Tensor) -> None:
        self._width = _width(value)
        self._range = Range()

    def limited(self, value: Tensor, step: int | None) -> Tensor:
        """As of a `Range`."""
        if self._width is not None and self._width != _width(value):
            self._width, self._range = None, Range()
        return self._range.limited(value, None if self._width is None else feature_dim(value), step)


def _width(value: Tensor) -> int | None:
    dim = feature_dim(value)
    return None if dim is None else value.shape[dim]


class Range:
    """The lowest and highest number of each feature over the calls so far."""

    def __init__(self) -> None:
        self._calls = 0
        self._step: int | None = None
        self._outside = False
        self._in_a_row = 0
        self._known: Any = 0.0  # of each feature: 1 is enough, to which a call adds its part
        self._low: Any = math.inf
        self._high: Any = -math.inf

    @torch.no_grad()
    def limited(self, value: Tensor, dim: int | None, step: int | None = None) -> Tensor:
        """A tensor within the range, which it widens where it is not far outside of it.

        Args:
            value: the tensor.
            dim: where its features lie; None for one range of all.
            step: the step of the training that this is a part of; None makes each call one.

        Example:
            >>> known = Range()
            >>> rows = torch.linspace(-1, 1, 64).unsqueeze(1)
            >>> [known.limited(rows, 1) is rows for _ in range(CALLS)]
            [True, True, True, True]
            >>> known.limited(torch.tensor([[0.5], [3.0], [-1e6]]), 1).flatten().tolist()
            [0.5, 3.0, -1.0]
        """
        self._enter(step)
        numbers = value.numel() // (1 if dim is None else value.shape[dim])
        if self._calls >= CALLS and self._in_a_row < IN_A_ROW:
            lowest, highest, bottom, top = self._limits()
            outside = (value < lowest) | (value > highest)
            if holds_anywhere(outside):
                self._outside = True
                return torch.where(outside, torch.minimum(torch.maximum(value, bottom), top), value)
        self._calls += 1
        self._widen(value, [place for place in range(value.ndim) if place != dim], numbers)
        return value

    def _enter(self, step: int | None) -> None:
        """A step counts once, however many calls it has."""
        if step is None or step != self._step:
            self._in_a_row = self._in_a_row + 1 if self._outside else 0
            self._step, self._outside = step, False

    def _widen(self, value: Tensor, over: list[int], numbers: int) -> None:
        """Of each feature that has nothing but numbers in this call; the device need not be waited for."""
        low, high = value.amin(over, keepdim=True), value.amax(over, keepdim=True)
        whole = low.isfinite() & high.isfinite()
        self._low = torch.where(whole, low.clamp(max=self._low), self._low)
        self._high = torch.where(whole, high.clamp(min=self._high), self._high)
        self._known = self._known + whole * min(1.0 / CALLS, numbers / NUMBERS)

    def _limits(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Between which numbers are left alone, and to which the others are put."""
        known = self._known >= 1.0
        half = torch.where(known, (self._high - self._low) / 2, 0.0)
        constant = half <= 0
        half = torch.where(constant, half.amax(), half)
        bottom = torch.where(constant, self._high - half, self._low)
        top = torch.where(constant, self._low + half, self._high)
        middle = bottom / 2 + top / 2
        reach = torch.where(known & (half > 0), FAR * half, torch.inf)
        return middle - reach, middle + reach, bottom, top
