"""A loss scale that a script has written itself, held where its gradients fit into float16."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._foreach import scale_
from .._readback import all_true
from .._tap import OwnUpdates, own_scale, params_of
from ..measure import each_norm, stacked
from .intervention import Intervention

LESS = 16.0
"""By what the scale is divided when gradients have left the range once more."""


class LowerLossScale(Intervention):
    """The loss is differentiated as if it were scaled less, and gradients are made as large as the script expects.

    Args:
        scale: the scale to begin with; it goes down by 16 whenever gradients are not finite.
    """

    remedy = "lower-loss-scale"

    def __init__(self, where: str = "", *, scale: float = 1024.0, **options: Any) -> None:
        super().__init__(where, **options)
        self._most = scale
        self._factor = 1.0
        self._own = False

    def optimizer_made(self, optimizer: Optimizer) -> None:
        """Where a script makes its updates itself, nobody knows whether its gradients were divided yet."""
        self._own = isinstance(optimizer, OwnUpdates)

    def factor(self, loss: Tensor) -> float:
        """What is missing to a smaller scale."""
        self._factor = 1.0 if self._own else min(1.0, self._most / own_scale(loss))
        self.times += self._factor < 1.0
        return self._factor

    def before_clip(self, scaler: Any, params: Sequence[Tensor]) -> None:
        """A clip sees the gradients that the script means."""
        self._multiply(params, 1.0 / self._factor)

    def after_clip(self, params: Sequence[Tensor]) -> None:
        """As before."""
        self._multiply(params, self._factor)

    def before_step(self, optimizer: Optimizer) -> bool:
        """Gradients as large as the script expects them; none where they are not finite, and a smaller scale then."""
        if self._factor == 1.0:
            return False
        params, factor = params_of(optimizer), self._factor
        self._factor = 1.0
        if _are_finite(params):
            self._multiply(params, 1.0 / factor)
            return False
        self._most = max(1.0, self._most / LESS)
        return True

    def _multiply(self, params: Sequence[Tensor], factor: float) -> None:
        grads = [param.grad for param in params if param.grad is not None]
        if factor != 1.0 and grads:
            scale_(grads, factor)


def _are_finite(params: Sequence[Tensor]) -> bool:
    norms = each_norm([param.grad for param in params if param.grad is not None])
    return not norms or all_true(torch.isfinite(stacked(norms)))
