"""Ranks and sharded tensors: the only file that speaks to torch.distributed."""

import sys

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
    """Whether a parameter is a DTensor, of which this rank holds only a part."""
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(tensor, module.DTensor)
