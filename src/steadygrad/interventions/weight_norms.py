"""Weights whose norms have a ceiling."""

import math
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .._tap import OwnUpdates, params_of
from .intervention import Intervention

SHORT_OF = 0.999
"""Part of its limit from which a tensor is as long as it may be."""


class ConstrainWeightNorms(Intervention):
    """After each step a weight tensor is no longer than `factor` times what it was: what runs away stays at a norm.

    Where the script's own lines are the step, it is shortened before the next one, and the part of a gradient that
    would lengthen it is taken out.

    References:
        Srebro and Shraibman, "Rank, trace-norm and max-norm", 2005.
        Karras et al., "Analyzing and improving the training dynamics of diffusion models", 2024.
    """

    remedy = "constrain-weight-norms"

    def __init__(self, where: str = "", *, factor: float = 2.0, **options: Any) -> None:
        super().__init__(where, **options)
        self._factor = factor
        self._limits: dict[tuple[int, int], float] = {}

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> bool:
        """What has not been seen before is as long as it begins."""
        for place, param in enumerate(params_of(optimizer)):
            if (id(optimizer), place) not in self._limits:
                self._limits[id(optimizer), place] = self._factor * _begins(param)
        if isinstance(optimizer, OwnUpdates):
            self.after_step(optimizer)
            for param, limit in self._limited(optimizer):
                self._turn(param, limit)
        return False

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """Shorten what has grown longer."""
        for param, limit in self._limited(optimizer):
            norm = _norm(param)
            if limit < norm < math.inf:
                param.mul_(limit / norm)
                self.times += 1

    def _limited(self, optimizer: Optimizer) -> list[tuple[Tensor, float]]:
        limits = [self._limits.get((id(optimizer), place)) for place in range(len(params_of(optimizer)))]
        return [(param, limit) for param, limit in zip(params_of(optimizer), limits, strict=True) if limit is not None]

    def _turn(self, param: Tensor, limit: float) -> None:
        """A gradient that only turns the tensor, and no longer lengthens it."""
        if param.grad is None or _norm(param) < SHORT_OF * limit:
            return
        outwards = read_tensor_scalar((param * param.grad).sum().float()) or 0.0
        if outwards < 0:
            param.grad.sub_(param * (outwards / _norm(param) ** 2))
            self.times += 1


def _begins(param: Tensor) -> float:
    """The norm before training; of what begins near zero (a bias, a head) the one that torch gives such a matrix."""
    rows = param.shape[0] if param.ndim else 1
    return max(_norm(param), math.sqrt(rows / 3))


def _norm(param: Tensor) -> float:
    return read_tensor_scalar(torch.linalg.vector_norm(param, dtype=torch.float32)) or 0.0
