"""Making a step not happen: parameters, moments, momentum, counters and options stay as before.

Zeroing the gradients is not skipping: momentum and weight decay would still move the weights. Two ways that are:
a step on a hollow copy of the optimizer, and hiding the gradients where the copy comes too late (inside a closure).
"""

import copy
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor
from torch.optim import Optimizer

from .._foreach import zero_

AnyOptimizer = TypeVar("AnyOptimizer", bound=Optimizer)


def hollow(optimizer: AnyOptimizer) -> AnyOptimizer:
    """A copy of an optimizer that has the same groups and options but no parameters.

    A step on it runs the optimizer's own code and touches nothing: counters that an optimizer keeps beside the
    per-parameter state land in the copy.

    Args:
        optimizer: any optimizer; it is not changed.

    Returns:
        The copy, of the same class.
    """
    shell = object.__new__(type(optimizer))
    shell.__dict__.update(optimizer.__dict__)
    # Into the copy's own dictionary: a class may have properties of these names that write to an inner optimizer.
    vars(shell)["param_groups"] = [{**group, "params": []} for group in optimizer.param_groups]
    vars(shell)["state"] = defaultdict(dict, {key: _own(key, value) for key, value in optimizer.state.items()})
    return shell


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
