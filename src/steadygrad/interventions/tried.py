"""Weights that are written while a script may be in the middle of a step: nobody counts it, and trials are put back."""

from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager

import torch
from torch import Tensor

from .part import Part


@contextmanager
def uncounted(tensors: Iterable[Tensor]) -> Iterator[None]:
    """What is written within is no change to autograd: what a script has computed with these weights in this step it
    can still differentiate.

    The gradient of that part is a little wrong, in one step. The alternative is that the script's `backward` raises.

    Example:
        >>> weight = torch.ones(2, requires_grad=True)
        >>> loss = weight.square().sum()
        >>> with uncounted([weight]), torch.no_grad():
        ...     _ = weight.mul_(3.0)
        >>> loss.backward()
        >>> weight.grad.tolist()
        [6.0, 6.0]
    """
    with ExitStack() as stack:
        for each in tensors:
            if not each.is_inference():  # has no version
                stack.enter_context(torch.autograd._unsafe_preserve_version_counter(each))
        yield


class Tried:
    """Tensors have other values within its `with` block, and their own to the last bit after it, however it ends.

    Nobody's version of them counts it.

    Example:
        >>> weight = torch.ones(2)
        >>> with Tried() as tried:
        ...     tried.scale(Part([weight]), 0.1)
        ...     weight.tolist()
        [0.10000000149011612, 0.10000000149011612]
        >>> weight.tolist()
        [1.0, 1.0]
    """

    def __init__(self) -> None:
        self._kept: dict[int, tuple[Tensor, Tensor]] = {}

    def __enter__(self) -> "Tried":
        return self

    def __exit__(self, *error: object) -> None:
        for tensor, value in self._kept.values():
            tensor.data.copy_(value)
        self._kept.clear()

    def scale(self, part: Part, scale: float) -> None:
        """Multiply it."""
        for each, factor in zip(part.tensors, part.factors(scale), strict=True):
            self._keep(each)
            each.data.mul_(factor)

    def set(self, tensor: Tensor, value: Tensor) -> None:
        """Give it another value."""
        self._keep(tensor)
        tensor.data.copy_(value)

    def _keep(self, tensor: Tensor) -> None:
        if id(tensor) not in self._kept:
            self._kept[id(tensor)] = tensor, tensor.detach().clone()
