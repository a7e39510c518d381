"""Ranks and sharded tensors: the only file that speaks to torch.distributed."""

import sys
from collections.abc import Sequence
from typing import Any, cast

import torch
from torch import Tensor

from . import _config


def world() -> tuple[int, int]:
    """(rank, world size) of this process: from an initialised process group, else from the launcher's environment."""
    distributed = torch.distributed
    if distributed.is_available() and distributed.is_initialized():
        return distributed.get_rank(), distributed.get_world_size()
    return _config.rank(), _config.world_size()


def is_sharded(tensor: Tensor) -> bool:
    """Whether a tensor is a DTensor, of which this rank holds only a part."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)


def any_sharded(tensors: Sequence[Tensor]) -> bool:
    """Whether one of the tensors is a DTensor."""
    module = sys.modules.get("torch.distributed.tensor")
    # What one tensor is, most are: their types are few.
    return module is not None and any(issubclass(kind, module.DTensor) for kind in {*map(type, tensors)})


def settled(tensor: Tensor) -> Tensor:
    """A DTensor whose pending sums over ranks are carried out; any other tensor as it is. Collective."""
    if not is_sharded(tensor):
        return tensor
    placements = cast(Any, tensor).placements
    if not any(placement.is_partial() for placement in placements):
        return tensor
    from torch.distributed.tensor import Replicate

    done = [Replicate() if placement.is_partial() else placement for placement in placements]
    return cast(Any, tensor).redistribute(placements=done)


def local(tensor: Tensor) -> Tensor:
    """This rank's part of a DTensor, sharing its memory; any other tensor as it is."""
    return cast(Any, tensor).to_local() if is_sharded(tensor) else tensor


def sum_over_shards(values: Sequence[Tensor], owners: Sequence[Tensor]) -> list[Tensor]:
    """Sum numbers that belong to sharded tensors over the ranks that hold the parts. Collective.

    Args:
        values: a 0-d tensor for each owner, computed of this rank's part.
        owners: the tensors; the values of those that are no DTensors stay as they are.

    Returns:
        The sums, alike on every rank, in the same order.
    """
    sums = list(values)
    alike: dict[Any, list[int]] = {}
    for place, owner in enumerate(owners):
        if is_sharded(owner):
            sharded = cast(Any, owner)
            alike.setdefault((sharded.device_mesh, tuple(sharded.placements)), []).append(place)
    for (mesh, placements), places in alike.items():
        packed = torch.stack([sums[place] for place in places])
        for dim, placement in enumerate(placements):
            if placement.is_shard():
                torch.distributed.all_reduce(packed, group=mesh.get_group(dim))
        for place, value in zip(places, packed.unbind(), strict=True):
            sums[place] = value
    return sums
