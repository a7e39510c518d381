"""Data that is NaN or infinite, filled in wherever it meets what is trained."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from .._readback import any_nan, any_nonfinite, any_positive_infinity
from ..preflight.variants import mapped
from .functions import in_place, leave, reaches_in
from .intervention import Intervention


class DropOrImpute(Intervention):
    """Entries of data that are not finite become zero; of targets they become the prediction, whose error is zero.

    Masks of minus infinity are no missing values.
    """

    remedy = "drop-or-impute-nonfinite-samples"

    def begin(self) -> None:
        """See every function of torch, from here on."""
        self._mode = _FillIn(self)
        self._mode.__enter__()

    def end(self) -> None:
        """See no more."""
        leave(self._mode)

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a model is given is data as long as it needs no gradient."""
        return mapped(args, self._filled), mapped(kwargs, self._filled)

    def _filled(self, value: Tensor) -> Tensor:
        if not is_missing(value):
            return value
        self.times += 1
        return value.nan_to_num(0.0, 0.0, 0.0)


def is_missing(value: Any) -> bool:
    """Whether a tensor is data with entries that are not finite, other than a mask's."""
    if not isinstance(value, Tensor) or value.requires_grad or not value.is_floating_point() or not value.numel():
        return False
    if value.layout is not torch.strided or not any_nonfinite([value]):
        return False
    return any_nan([value]) or any_positive_infinity([value])


class _FillIn(TorchFunctionMode):
    def __init__(self, owner: DropOrImpute) -> None:
        self._owner = owner

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        several = (*args, *kwargs.values())
        trained = next((each for each in several if isinstance(each, Tensor) and each.requires_grad), None)
        if trained is not None and torch.is_grad_enabled() and not reaches_in(func):
            # What is written into is no data yet: results are often gathered in a tensor of NaN.
            written = args[0] if args and in_place(func) else kwargs.get("out")
            args = tuple(self._filled(each, trained, written) for each in args)
            kwargs = {name: self._filled(each, trained, written) for name, each in kwargs.items()}
        return func(*args, **kwargs)

    def _filled(self, value: Any, trained: Tensor, written: Any) -> Any:
        if value is written or not is_missing(value):
            return value
        self._owner.times += 1
        other = trained.detach()
        filler = other if other.shape == value.shape else torch.zeros_like(value)
        return torch.where(value.isfinite(), value, filler.to(value.dtype))
