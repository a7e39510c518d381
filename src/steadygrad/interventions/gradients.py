"""Gradients that are cleared, unscaled, averaged: what a training loop forgets."""

import functools
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._tap import leaves_of
from .intervention import Intervention
from .own_updates import OwnUpdates, params_of


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
    """torch's clipping functions get gradients without the loss scale on them."""

    remedy = "unscale-before-clip"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._undo: list[Any] = []
        self._optimizers: list[Optimizer] = []
        self._scaler: Any = None

    def begin(self) -> None:
        """Know the scaler, and come before each clip."""
        utils, scaler_class = torch.nn.utils, torch.amp.GradScaler
        original_scale = scaler_class.scale

        @functools.wraps(original_scale)
        def scale(scaler: Any, outputs: Any) -> Any:
            self._scaler = scaler
            return original_scale(scaler, outputs)

        self._replace(scaler_class, "scale", scale)
        for name in ("clip_grad_norm_", "clip_grad_value_"):
            self._replace(utils, name, self._unscaled_first(getattr(utils, name)))

    def end(self) -> None:
        """As it was."""
        for undo in reversed(self._undo):
            undo()
        self._undo.clear()

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Remember it: a scaler unscales by optimizer."""
        self._optimizers.append(optimizer)

    def _unscaled_first(self, original: Any) -> Any:
        @functools.wraps(original)
        def clip(*args: Any, **kwargs: Any) -> Any:
            if self._scaler is not None and self._scaler.is_enabled():
                for optimizer in self._optimizers:
                    states = self._scaler._per_optimizer_states
                    fresh = states[id(optimizer)]["stage"].name == "READY"
                    if fresh and any(param.grad is not None for param in params_of(optimizer)):
                        self._scaler.unscale_(optimizer)
                        self.times += 1
            return original(*args, **kwargs)

        return clip

    def _replace(self, owner: Any, name: str, wrapper: Any) -> None:
        before = getattr(owner, name)
        setattr(owner, name, wrapper)
        self._undo.append(lambda: setattr(owner, name, before))
