"""The same batch with one thing changed: twice as long, or brought to a common scale."""

import copy
from collections import UserDict
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils.rnn import PackedSequence

from .._readback import read_tensor_scalar
from ..measure.objective import Objective
from ..rules.data import LARGEST


def doubled(objective: Objective, batch: Any) -> Any:
    """A batch with each sample twice; None where it is not to be seen which dimension the samples lie along."""
    inputs, target = objective.parts(batch)
    size = _rows(inputs, target)
    if size is None or _is_packed(inputs):
        return None

    def twice(value: Tensor) -> Tensor:
        dim = _sample_dim(value, size)
        return value if dim is None else torch.cat([value, value], dim)

    return objective.with_parts(mapped(inputs, twice), mapped(target, twice))


def shortened(objective: Objective, rows: int) -> Any:
    """The first samples of the batch; None where it is not to be seen which dimension they lie along."""
    size = batch_size(objective)
    if size is None or _is_packed(objective.inputs):
        return None

    def fewer(value: Tensor) -> Tensor:
        dim = _sample_dim(value, size)
        return value if dim is None else value.narrow(dim, 0, min(rows, size))

    return objective.with_parts(mapped(objective.inputs, fewer), mapped(objective.target, fewer))


def _is_packed(thing: Any) -> bool:
    parts = thing.values() if isinstance(thing, Mapping) else thing if isinstance(thing, (list, tuple)) else ()
    return isinstance(thing, PackedSequence) or any(isinstance(part, PackedSequence) for part in parts)


def _sample_dim(value: Tensor, size: int) -> int | None:
    """Time may come first, and so may the layers of an initial state."""
    return next((place for place in range(min(2, value.ndim)) if value.shape[place] == size), None)


def batch_size(objective: Objective) -> int | None:
    """How many samples there are: the length of the target, or of the inputs where they agree."""
    return _rows(objective.inputs, objective.target)


def _rows(inputs: Any, target: Any) -> int | None:
    for part in (target, inputs):
        sizes = {tensor.shape[0] for _, tensor in tensors_in(part) if tensor.ndim}
        if len(sizes) == 1:
            return sizes.pop()
    return None


def standardised(objective: Objective, *, inputs: bool = False, target: bool = False) -> Any:
    """The batch with floating inputs at mean 0 and variance 1, by feature, or large targets, each as a whole.

    A target that is not large is left alone: beside what is subtracted from outputs there may be what errors are
    multiplied by, and those would count for more.
    """
    given, wanted = objective.inputs, objective.target
    if inputs:
        given = mapped(given, by_feature)
    if target:
        wanted = mapped(wanted, lambda each: as_a_whole(each) if _is_large(each) else each)
    return objective.with_parts(given, wanted)


def _is_large(value: Tensor) -> bool:
    if not value.is_floating_point() or not value.numel():
        return False
    return (read_tensor_scalar(value.detach().double().square().mean().sqrt()) or 0.0) > LARGEST


def by_feature(value: Tensor) -> Tensor:
    """Each feature at mean 0 and variance 1: of images each channel, else each entry of the last dimension."""
    if not value.is_floating_point() or value.numel() < 2:
        return value
    dims = [place for place in range(value.ndim) if place != feature_dim(value)]
    if value.ndim < 2 or feature_dim(value) is None:
        return as_a_whole(value)
    wide = value.double()
    spread = wide.std(dims, keepdim=True, unbiased=False)
    constant = spread <= 1e-6 * wide.abs().amax(dims, keepdim=True)
    return torch.where(constant, 0.0, (wide - wide.mean(dims, keepdim=True)) / spread.clamp(min=1e-300)).to(value.dtype)


def feature_dim(value: Tensor) -> int | None:
    """Where a tensor's features lie: 1 of maps, the last of rows and sequences, nowhere in a plain vector."""
    if value.ndim < 2:
        return None
    return 1 if value.ndim > 3 else value.ndim - 1


def as_a_whole(value: Tensor) -> Tensor:
    """The whole tensor at mean 0 and variance 1."""
    if not value.is_floating_point() or value.numel() < 2:
        return value
    wide = value.double()
    return ((wide - wide.mean()) / wide.std(unbiased=False).clamp(min=1e-12)).to(value.dtype)


def mapped(thing: Any, change: Any) -> Any:
    """The same structure with each tensor changed."""
    if isinstance(thing, Tensor):
        return change(thing)
    if isinstance(thing, PackedSequence):
        return thing._replace(data=change(thing.data)) if change is not None else thing
    if isinstance(thing, Mapping):
        changed = {key: mapped(value, change) for key, value in thing.items()}
        return changed if type(thing) is dict else _of_kind(thing, changed)
    if isinstance(thing, tuple) and hasattr(thing, "_fields"):
        return type(thing)(*(mapped(value, change) for value in thing))
    if isinstance(thing, (list, tuple)):
        return type(thing)(mapped(value, change) for value in thing)
    if is_dataclass(thing) and not isinstance(thing, type):
        return replace(thing, **{each.name: mapped(getattr(thing, each.name), change) for each in fields(thing)})
    return thing


def _of_kind(thing: Mapping[Any, Any], changed: dict[Any, Any]) -> Any:
    """A mapping that can do more than a dict can (a tokenizer's batch), with other values; a dict if it takes none."""
    if not isinstance(thing, (dict, UserDict)):  # a copy of anything else may share what lies in it
        return changed
    try:
        made: Any = copy.copy(thing)
        for key, value in changed.items():
            made[key] = value
    except (TypeError, ValueError):
        return changed
    return made


def tensors_in(thing: Any, name: str = "") -> list[tuple[str, Tensor]]:
    """Every tensor of a structure, with where it lies: "[0]", "images"."""
    if isinstance(thing, Tensor):
        return [(name, thing)]
    if isinstance(thing, PackedSequence):
        return [(name, thing.data)]
    if isinstance(thing, Mapping):
        items = [(f"{name}.{key}" if name else str(key), value) for key, value in thing.items()]
    elif isinstance(thing, (list, tuple)):
        items = [(f"{name}[{place}]", value) for place, value in enumerate(thing)]
    elif is_dataclass(thing) and not isinstance(thing, type):
        items = [(f"{name}.{each.name}" if name else each.name, getattr(thing, each.name)) for each in fields(thing)]
    else:
        return []
    return [found for path, value in items for found in tensors_in(value, path)]
