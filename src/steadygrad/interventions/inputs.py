"""What a model is given, on a common scale: data features by their running mean and deviation."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from ..preflight.variants import feature_dim, mapped
from .data import is_untrained
from .intervention import Intervention

LEARNED = 256
"""Calls by which the statistics are learned; after them they stay."""


class StandardiseInputs(Intervention):
    """Features that are data are shifted and divided by what the batches so far have had.

    Constant features (masks of ones, states of zeros) and what is no data (it needs a gradient) are left alone.
    """

    remedy = "standardise-inputs"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._known: dict[tuple[Any, ...], Moments] = {}

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Standardise them."""
        place = iter(range(10_000))

        def change(value: Tensor) -> Tensor:
            number = next(place)
            if not is_data(value):
                return value
            dim = feature_dim(value)
            key = id(module), number, value.ndim, None if dim is None else value.shape[dim]
            moments = self._known.setdefault(key, Moments())
            self.times += 1
            return moments.applied(value, dim, learns=torch.is_grad_enabled() or not moments.calls)

        return mapped(args, change), mapped(kwargs, change)


def is_data(value: Any) -> bool:
    """Whether a tensor is floating data: finite, no result of anything that is trained, and more than a number."""
    return is_untrained(value) and value.numel() > 1 and bool(value.isfinite().all())


class Moments:
    """Mean and variance of each feature over the calls so far."""

    def __init__(self) -> None:
        self.calls = 0
        self._count = 0.0
        self._mean: Any = 0.0
        self._square: Any = 0.0

    @torch.no_grad()
    def applied(self, value: Tensor, dim: int | None, *, learns: bool) -> Tensor:
        """A tensor in standard units, of which this one may be a part."""
        wide = value.double()
        over = [place for place in range(value.ndim) if place != dim]
        if learns and self.calls < LEARNED:
            self.calls += 1
            count = float(value.numel() if dim is None else value.numel() // value.shape[dim])
            mean = wide.mean(over, keepdim=True)
            square = (wide - mean).square().sum(over, keepdim=True)
            total, delta = self._count + count, mean - self._mean
            self._square = self._square + square + delta.square() * (self._count * count / total)
            self._mean = self._mean + delta * (count / total)
            self._count = total
        spread = (self._square / self._count).sqrt()
        varies = spread > 1e-6 * torch.as_tensor(self._mean).abs().clamp(min=1e-30)
        shifted = (wide - self._mean) / torch.where(varies, spread, 1.0)
        return torch.where(varies, shifted, wide).to(value.dtype)


def parts_of(args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> list[Tensor]:
    """Every floating tensor that a call was given, as far as it lies on the surface."""
    found: list[Tensor] = []

    def look(thing: Any) -> None:
        if isinstance(thing, Tensor):
            found.append(thing)
        elif isinstance(thing, PackedSequence):
            found.append(thing.data)
        elif isinstance(thing, Mapping):
            for each in thing.values():
                look(each)
        elif isinstance(thing, (list, tuple)):
            for each in thing:
                look(each)

    look(args)
    look(kwargs)
    return [each for each in found if each.is_floating_point() and each.layout is torch.strided]
