"""Gradients that are cleared, unscaled, averaged: what a training loop forgets."""

import weakref
from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torch.optim import Optimizer

from .._foreach import scale_
from .._tap import OwnUpdates, leaves_of, own_scale, params_of
from .intervention import Intervention


class ZeroGradBeforeBackward(Intervention):
    """Gradients are cleared after each step, whoever makes it."""

    remedy = "zero-grad-before-backward"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._own = False

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Whether the script makes its steps itself."""
        self._own = isinstance(optimizer, OwnUpdates)

    def factor(self, loss: Tensor) -> float:
        """Nobody says when such a step is over: its gradients are cleared before the next pass."""
        if self._own:
            self._clear(leaves_of(loss))
        return 1.0

    def after_step(self, optimizer: Optimizer) -> None:
        """Clear them."""
        self._clear(params_of(optimizer))

    def _clear(self, params: list[Tensor]) -> None:
        for param in params:
            if param.grad is not None:
                param.grad = None
                self.times += 1


class DivideByAccumulationSteps(Intervention):
    """Each loss is divided by the number of passes that make one step."""

    remedy = "divide-loss-by-accumulation-steps"

    def __init__(self, where: str = "", *, passes: int = 0, **options: Any) -> None:
        super().__init__(where, **options)
        self._passes = passes
        self._since = 0

    def factor(self, loss: Tensor) -> float:
        """One part of the whole; until the first step is over their number is that of the finding, if it has one."""
        self._since += 1
        if self._passes < 2:
            return 1.0
        self.times += 1
        return 1.0 / self._passes

    def after_step(self, optimizer: Optimizer) -> None:
        """As many as this step had."""
        if self._passes < 2:
            self._passes = self._since
        self._since = 0


class UnscaleBeforeClip(Intervention):
    """torch's clipping functions get gradients without the loss scale on them.

    A scaler's factor is taken off for good, as the scaler does it. One that a script has written before its loss, and
    divides its gradients by later, is taken off for the clip alone.
    """

    remedy = "unscale-before-clip"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._optimizers: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._own = self._taken = 1.0

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Remember it: a scaler unscales by optimizer."""
        self._optimizers.add(optimizer)

    def factor(self, loss: Tensor) -> float:
        """Remember the script's own loss scale."""
        self._own = own_scale(loss)
        return 1.0

    def before_clip(self, scaler: Any, params: Sequence[Tensor]) -> None:
        """Unscale what is about to be clipped and is not yet: what lies on other parameters, its step will unscale."""
        if scaler is None or not scaler.is_enabled():
            self._taken = self._own
            self._multiply(params, 1.0 / self._taken)
            return
        clipped = {id(param) for param in params if param.grad is not None}
        for optimizer in self._optimizers:
            fresh = scaler._per_optimizer_states[id(optimizer)]["stage"].name == "READY"
            if fresh and any(id(param) in clipped for param in params_of(optimizer)):
                scaler.unscale_(optimizer)
                self.times += 1

    def after_clip(self, params: Sequence[Tensor]) -> None:
        """The script's own scale is put back: it divides by it itself."""
        self._multiply(params, self._taken)
        self._taken = 1.0

    def _multiply(self, params: Sequence[Tensor], factor: float) -> None:
        grads = [param.grad for param in params if param.grad is not None]
        if factor != 1.0 and grads:
            scale_(grads, factor)
            self.times += 1
