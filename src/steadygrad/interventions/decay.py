"""Weights that decay."""

from typing import Any

import torch
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .intervention import Intervention


class WeightDecay(Intervention):
    """Weight matrices shrink by a share of the rate at each step.

    Reference: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.
    """

    remedy = "decoupled-weight-decay"

    def __init__(self, where: str = "", *, weight_decay: float = 0.1, **options: Any) -> None:
        super().__init__(where, **options)
        self._decay = weight_decay

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Let them."""
        for group in optimizer.param_groups:
            rate = read_tensor_scalar(group.get("lr"))
            for param in group["params"]:
                if rate and param.ndim > 1 and param.grad is not None:
                    param.mul_(1.0 - min(0.5, rate * self._decay))
                    self.times += 1
