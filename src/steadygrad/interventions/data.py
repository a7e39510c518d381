"""Seeing data wherever it meets what is trained: inputs of a model, and constants beside results with a gradient."""

from typing import Any

import torch
from torch import Tensor, nn
from torch._C._functorch import peek_interpreter_stack

from ..preflight.variants import mapped
from .functions import LeavableMode, enter, in_place, leave, reaches_in
from .intervention import Intervention

DERIVATIVES = frozenset({"backward", "grad"})
"""Functions that differentiate: the gradient that they are given to begin with is no data."""


class Data(Intervention):
    """Sees every tensor of data on its way into a model, and every one that a function of torch combines with
    something that is trained: targets, and inputs of scripts without modules."""

    def begin(self) -> None:
        """See every function of torch, from here on."""
        self._mode = _Meetings(self)
        enter(self._mode)

    def end(self) -> None:
        """See no more."""
        leave(self._mode)

    def forward(
        self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """What a model is given is data as long as it needs no gradient."""
        place = iter(range(10_000))

        def change(value: Tensor) -> Tensor:
            site = id(module), next(place)
            return self.met(value, None, site) if is_untrained(value) else value

        return mapped(args, change), mapped(kwargs, change)

    def met(self, value: Tensor, trained: Tensor | None, site: tuple[Any, ...]) -> Tensor:
        """Data at a place where it is used.

        Args:
            value: the data, floating.
            trained: what it is combined with; None of what a model is given.
            site: the place, the same in each step.

        Returns:
            What is to be used in its stead.
        """
        raise NotImplementedError


def is_untrained(value: Any) -> bool:
    """Whether something is a floating tensor with numbers that nothing trained has made."""
    return (
        isinstance(value, Tensor)
        and not value.requires_grad
        and value.is_floating_point()
        and has_numbers(value)
        and value.numel() > 0
        and value.layout is torch.strided
    )


def has_numbers(value: Tensor) -> bool:
    """Whether a tensor has numbers that can be looked at and compared.

    A meta tensor has none, the parts of a nested one have sizes of their own, and where code is compiled or torch.func
    transforms it a tensor stands for others.
    """
    return not (
        torch.compiler.is_compiling() or value.is_nested or value.is_meta or peek_interpreter_stack() is not None
    )


class _Meetings(LeavableMode):
    def __init__(self, owner: Data) -> None:
        self._owner = owner

    def given(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        name = getattr(func, "__name__", "")
        if reaches_in(func) or not torch.is_grad_enabled() or name in DERIVATIVES:
            return args, kwargs
        several = (*args, *kwargs.values())
        trained = next((each for each in several if isinstance(each, Tensor) and each.requires_grad), None)
        if trained is None:
            return args, kwargs
        # What is written into is no data yet: results are often gathered in a tensor of NaN.
        written = args[0] if args and in_place(func) else kwargs.get("out")

        def change(value: Any, place: int | str) -> Any:
            if value is written or not is_untrained(value):
                return value
            return self._owner.met(value, trained, (name, place))

        changed = {place: change(value, place) for place, value in kwargs.items()}
        return tuple(change(value, place) for place, value in enumerate(args)), changed
