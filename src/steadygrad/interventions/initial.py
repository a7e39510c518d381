"""What remedies share that change the weights a run begins with."""

import inspect
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._names import find_roots
from .._random_state import random_state, restore_random_state
from .._tap import params_of, quiet
from .intervention import Intervention

NEXT = 0
"""Added to the script's seed for the draws: other seeds draw other weights, and none the script's own numbers."""


class Initial(Intervention):
    """Changes the weights of each outermost module that is called, once, before its first call."""

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Change them; the script's random numbers stay its own."""
        before = random_state()
        try:
            torch.manual_seed((torch.initial_seed() + NEXT) % 2**63)
            with quiet(), torch.no_grad():
                self.times += bool(self.change_(module, args, kwargs))
        except (ValueError, RuntimeError, TypeError):
            return  # this module cannot be changed so; another may
        finally:
            restore_random_state(before)

    def change_(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Change a module in place; returns whether anything was."""
        raise NotImplementedError


def unowned(optimizer: Optimizer) -> list[Tensor]:
    """The parameters of an optimizer that no living module has."""
    params = params_of(optimizer)
    owned = {id(param) for root in find_roots(params) for param in root.parameters()}
    return [param for param in params if id(param) not in owned]


def name_within(module: nn.Module, where: str) -> str:
    """What a finding names, as it is called within a module: findings count from the outermost one, which a script may
    never call, but only parts of it.

    Example:
        >>> parts = nn.ModuleList([nn.Embedding(4, 2), nn.Sequential(nn.Linear(2, 2))])
        >>> name_within(parts, "1.0"), name_within(parts[1], "1.0"), name_within(parts[0], "1.0")
        ('1.0', '0', '')
    """
    names = {name for named in (module.named_modules(), module.named_parameters()) for name, _ in named}
    while where and where not in names:
        where = where.partition(".")[2]
    return where


def batch_of(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a module was called with, as one batch."""
    if not kwargs:
        return args[0] if len(args) == 1 else args
    try:
        return dict(inspect.signature(module.forward).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):
        return kwargs
