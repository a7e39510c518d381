"""An optimizer before a step with a closure: its gradients exist only once the step has begun."""

from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .walk import PLAIN, with_inner


class OptimizerBackup:
    """An optimizer before a step whose gradients exist only once the step has begun, because a closure makes them.

    Counters and options are always kept, they cost nothing.

    Args:
        optimizer: the optimizer.
        params: keep the parameters: for optimizers that may move them without a gradient, or between evaluations.
        state: keep the moments: for optimizers that evaluate their closure several times a step.
    """

    def __init__(self, optimizer: Optimizer, *, params: bool, state: bool) -> None:
        # Those it delegates to have the same parameters.
        self._kept = [_Kept(o, params=params and o is optimizer, state=state) for o in with_inner(optimizer)]

    def restore_(self) -> None:
        """Put everything back as it was."""
        for kept in self._kept:
            kept.restore_()


class _Kept:
    """What is kept of one optimizer."""

    def __init__(self, optimizer: Optimizer, *, params: bool, state: bool) -> None:
        self._optimizer = optimizer
        every = [param for group in optimizer.param_groups for param in group["params"]] if params or state else []
        self._values = [(param, param.detach().clone()) for param in every]
        self._whole = state
        self._state = {k: _copy(v) for k, v in optimizer.state.items() if state or not isinstance(k, Tensor)}
        self._options = [{k: v for k, v in group.items() if k != "params"} for group in optimizer.param_groups]
        self._counters = {k: v for k, v in vars(optimizer).items() if isinstance(v, PLAIN)}

    def restore_(self) -> None:
        with torch.no_grad():
            for param, value in self._values:
                param.copy_(value)
        state = self._optimizer.state
        for key in [key for key in state if self._whole or not isinstance(key, Tensor)]:
            del state[key]
        state.update({key: _copy(value) for key, value in self._state.items()})
        for group, options in zip(self._optimizer.param_groups, self._options, strict=True):
            group.update(options)
        vars(self._optimizer).update(self._counters)


def _copy(value: Any) -> Any:
    """A copy of optimizer state: tensors cloned, containers rebuilt, the rest shared.

    Elements of lists are shared too: LBFGS keeps its history in lists to which it only adds and from which it removes.
    """
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copy(each) for key, each in value.items()}
    return list(value) if isinstance(value, list) else value
