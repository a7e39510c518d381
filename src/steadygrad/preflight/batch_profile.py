"""The batch itself: how large its numbers are, feature by feature."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from .._readback import read_step
from ..evidence import TensorProfile
from .variants import feature_dim, tensors_in

FEW = 4
"""One sample in so many at most may stand apart from the others."""


def profile(part: Any, name: str) -> tuple[TensorProfile, ...]:
    """Each floating tensor of the inputs or the target."""
    found = []
    for path, tensor in tensors_in(part, name):
        if tensor.is_floating_point() and tensor.numel():
            found.append(_profile(path, tensor.detach()))
    return tuple(found)


def _profile(name: str, tensor: Tensor) -> TensorProfile:
    wide = tensor.double()
    finite = torch.isfinite(wide)
    values = torch.where(finite, wide, 0.0)
    count = finite.sum().clamp(min=1)
    mean = values.sum() / count
    square = values.square()
    spread = (torch.where(finite, wide - mean, 0.0).square().sum() / count).sqrt()
    dim = feature_dim(tensor)
    ratio = torch.ones(())
    if dim is not None and tensor.shape[dim] > 1:
        others = [place for place in range(tensor.ndim) if place != dim]
        sizes = square.mean(others).sqrt()
        used = sizes[sizes > 0]
        # An entry of a one-hot code that this batch uses once is no small feature.
        if len(used) > 1 and len(used) * 2 > len(sizes):
            ratio = used.max() / used.median()
    bad = torch.logical_or(torch.isnan(tensor), tensor == torch.inf).sum()
    below = (tensor == -torch.inf).sum()
    whole = ((values == values.round()) & (values >= 0)).all().double()
    sizes = [(square.sum() / count).sqrt(), mean, spread, values.abs().max(), ratio, bad, below, whole, _apart(values)]
    _, numbers = read_step([], 0, 0.0, sizes)
    counts = bool(numbers[7]) and numbers[3] > 1
    profile = TensorProfile(name, tuple(tensor.shape), *numbers[:5], nonfinite=int(numbers[5]))
    return replace(profile, minus_infinite=int(numbers[6]), counts=counts, apart=numbers[8])


def _apart(values: Tensor) -> Tensor:
    """How far a few samples stand above all others; samples of nothing but zeros are none to stand above."""
    rows = values.shape[0] if values.ndim else 0
    few = rows // FEW
    if not few:
        return torch.ones(())
    largest = values.reshape(rows, -1).abs().amax(1).sort(descending=True).values
    below = largest[1 : few + 1]
    return torch.where(below > 0, largest[:few] / below, 1.0).max()
