"""The natural size of weights: that which keeps the size of a signal, as initialisations draw it."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.optim import Optimizer

from .._readback import read_tensor_scalar
from .initial import unowned

AMPLIFIES = 3.0
"""Times its natural size from which a matrix is scaled down to it."""


def gain_of(tensors: Sequence[Tensor]) -> float:
    """How many times larger than a signal of unit size a layer's output is, or how large a vector is itself."""
    weight = max(tensors, key=lambda each: each.ndim)
    size = read_tensor_scalar(weight.detach().float().square().mean().sqrt()) or 0.0
    return size * (math.sqrt(weight[0].numel()) if weight.ndim > 1 else 1.0)


def is_natural(tensors: Sequence[Tensor]) -> bool:
    """Whether a layer's weights keep the size of a signal that is of unit size, or a vector is of that size itself."""
    return gain_of(tensors) <= AMPLIFIES


@torch.no_grad()
def to_natural_size_(optimizer: Optimizer, *, small: bool = False) -> int:
    """Scale matrices that no module has, and that amplify, to what keeps a signal's size; returns how many.

    With `small` those too that let little of a signal through. Which of its dimensions is summed over is not known: the
    larger one is taken.
    """
    changed = 0
    for param in unowned(optimizer):
        if param.ndim < 2:
            continue
        size = read_tensor_scalar(param.float().square().mean().sqrt()) or 0.0
        gain = size * math.sqrt(max(param.shape[0], param[0].numel()))
        if gain > AMPLIFIES or (small and 0.0 < gain < 1.0 / AMPLIFIES):
            param.mul_(1.0 / gain)
            changed += 1
    return changed
