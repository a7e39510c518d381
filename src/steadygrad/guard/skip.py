"""Making a step not happen: parameters, moments, momentum, counters and options stay as before.

Zeroing the gradients is not skipping: momentum and weight decay would still move the weights. Two ways that are:
a step on a hollow copy of the optimizer, and hiding the gradients where the copy comes too late (inside a closure).
"""

import copy
from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._foreach import zero_

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)


def hollow(optimizer: AnyOptimizer) -> AnyOptimizer:
    """A copy of an optimizer on which a step touches nothing of the original.

    For torch's own optimizers it has the same groups and options but no parameters. Others may not stand that: their
    copy has parameters of its own, with gradients of zero. Counters that an optimizer keeps beside the per-parameter
    state land in the copy.

    Args:
        optimizer: any optimizer; it is not changed.

    Returns:
        The copy, of the same class.
    """
    shell = object.__new__(type(optimizer))
    shell.__dict__.update({name: _own_attribute(value) for name, value in optimizer.__dict__.items()})
    if not type(optimizer).__module__.startswith("torch.optim"):
        return _with_doubles(optimizer, shell)
    # Into the copy's own dictionary: a class may have properties of these names that write to an inner optimizer.
    vars(shell)["param_groups"] = [{**group, "params": []} for group in optimizer.param_groups]
    vars(shell)["state"] = defaultdict(dict, {key: _own(key, value) for key, value in optimizer.state.items()})
    return shell


def _with_doubles(optimizer: AnyOptimizer, shell: AnyOptimizer) -> AnyOptimizer:
    doubles: dict[Any, Any] = {}
    for group in optimizer.param_groups:
        for param in group["params"]:
            doubles[param] = param.detach().clone().requires_grad_(param.requires_grad)
            doubles[param].grad = None if param.grad is None else torch.zeros_like(param.grad)
    own = [
        {
            **{k: _own_attribute(v) for k, v in group.items() if k != "params"},
            "params": [doubles[p] for p in group["params"]],
        }
        for group in optimizer.param_groups
    ]
    state = {doubles.get(key, key): copy.deepcopy(value) for key, value in optimizer.state.items()}
    vars(shell)["param_groups"] = own
    vars(shell)["state"] = defaultdict(dict, state)
    return shell


def _own_attribute(value: Any) -> Any:
    """What may change in place is copied; what an optimizer only refers to (others, functions, models) is shared."""
    if isinstance(value, Tensor) and not value.requires_grad:
        return value.clone()
    if isinstance(value, (list, deque, set)) and not any(isinstance(each, Tensor) for each in value):
        return copy.copy(value)
    if isinstance(value, dict) and type(value) in {dict, defaultdict}:
        return {key: _own_attribute(each) for key, each in value.items()} if type(value) is dict else copy.copy(value)
    return value


def _own(key: Any, value: Any) -> Any:
    # State that belongs to no parameter (a counter under a string key) must not be shared with the copy.
    return value if isinstance(key, Tensor) else copy.deepcopy(value)


class HiddenGradients:
    """Gradients taken away from their parameters for the length of one step, and put back as zeros.

    Optimizers pass over parameters whose gradient is None. Afterwards the gradients are zero and not None, because
    scripts read `p.grad.norm()` after a step, and not what they were, because accumulation would keep the NaN.
    """

    def __init__(self, params: Sequence[Tensor]) -> None:
        self._hidden = [(param, param.grad) for param in params if param.grad is not None]
        for param, _ in self._hidden:
            param.grad = None

    def put_back_zeroed(self) -> None:
        """Give the parameters their gradients back, set to zero."""
        zero_([grad for _, grad in self._hidden if grad is not None])
        for param, grad in self._hidden:
            if param.grad is None:
                param.grad = grad
