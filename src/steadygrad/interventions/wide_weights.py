"""Weights in half precision that train in float32, and are rounded after each step."""

import weakref
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._tap import OwnUpdates, params_of
from .precision import HALVES
from .reparametrised import Layer, Reparametrisation


class Rounded(Layer):
    r"""Weights that are :math:`w = \mathrm{round}(m)` of float32 ones, which the optimizer steps on.

    Between steps the model has w. Where somebody else has changed it (a rollback, a checkpoint), m follows.

    Args:
        tensors: in half precision.
    """

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__(tensors)
        self._wide = [each.detach().float() for each in tensors]
        self._wide_grads: list[Tensor | None] = []
        self._narrow: list[tuple[Tensor, Tensor | None]] = []

    @classmethod
    def again(cls, tensors: Sequence[Tensor], kept: Mapping[str, Any]) -> "Rounded":
        """What was rounded away is no part of a checkpoint, and less than the last digit of a weight."""
        return cls(tensors)

    def prepare(self, optimizer: Optimizer) -> None:
        """Moments as wide as what is stepped on: torch loads them as wide as the weights."""
        for tensor in self.tensors:
            _cast(optimizer.state.get(tensor, {}), tensor, tensor.dtype, torch.float32)

    def enter(self) -> None:
        """m is there, with its gradient."""
        if not self._wide_grads:
            self._wide_grads = [None if each.grad is None else each.grad.float() for each in self.tensors]
        self._narrow = [(each.detach(), each.grad) for each in self.tensors]
        for tensor, wide, grad in zip(self.tensors, self._wide, self._wide_grads, strict=True):
            wide.copy_(torch.where(wide.to(tensor.dtype) == tensor, wide, tensor.detach().float()))
            _become(tensor, wide, grad)

    def leave(self) -> None:
        """w is there again."""
        for tensor, (narrow, grad) in zip(self.tensors, self._narrow, strict=True):
            narrow.copy_(tensor)
            if grad is not None and tensor.grad is not None:
                grad.copy_(tensor.grad)  # a step that was lost has cleared it
            _become(tensor, narrow, grad)
        self._narrow = []

    def over(self) -> None:
        """The next step has other gradients."""
        self._wide_grads = []

    def narrow(self, optimizer: Optimizer) -> None:
        """Moments as the script would have them."""
        for tensor in self.tensors:
            _cast(optimizer.state.get(tensor, {}), tensor, torch.float32, tensor.dtype)


class Float32Weights(Reparametrisation):
    """The optimizer steps on float32 copies of weights that are held in half precision.

    Its moments are in float32 too. What the script computes stays in its own precision. Of LBFGS and of updates that a
    script makes itself the weights stay as they are.

    Reference: Micikevicius et al., "Mixed precision training", 2018.
    """

    remedy = "float32-weights"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._known: weakref.WeakSet[Optimizer] = weakref.WeakSet()

    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made in float32."""
        if isinstance(optimizer, OwnUpdates):
            return False
        known = {id(tensor) for layer in self.layers for tensor in layer.tensors}
        halves = [each for each in params_of(optimizer) if each.dtype in HALVES and id(each) not in known]
        if halves and not self._inside:
            self.layers.append(Rounded(halves))
            self._known.add(optimizer)
        return super().before_step(optimizer)

    def end(self) -> None:
        """The script steps on its own weights, with moments like them."""
        self.step_aside()
        rounded = [each for each in self.layers if isinstance(each, Rounded)]
        for optimizer in self._known:
            for each in rounded:
                each.narrow(optimizer)
        super().end()


def _become(tensor: Tensor, values: Tensor, grad: Tensor | None) -> None:
    """A parameter of another type: its gradient has to be of the same at any time."""
    tensor.grad = None
    tensor.data = values
    tensor.grad = grad


def _cast(state: dict[str, Any], like: Tensor, old: torch.dtype, new: torch.dtype) -> None:
    """The entries of an optimizer's state that lie beside a parameter, in another type."""
    for name, value in state.items():
        if isinstance(value, Tensor) and value.shape == like.shape and value.dtype == old:
            state[name] = value.to(new)
