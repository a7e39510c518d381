"""The outermost modules that own an optimizer's parameters: a seq2seq and a GAN have several, a flat script none."""

import gc
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn


def find_roots(params: Sequence[Tensor], candidates: Iterable[nn.Module] | None = None) -> list[nn.Module]:
    """The fewest outermost modules that together own the given parameters.

    Args:
        params: the optimizer's parameters.
        candidates: where to look; by default every module that is alive in this process.

    Returns:
        Modules that are no part of another candidate, the one that owns most first. Empty when no module owns any.

    Example:
        >>> from torch import nn
        >>> model = nn.Sequential(nn.Linear(2, 2), nn.ReLU())
        >>> find_roots(list(model.parameters()), [model[0], model]) == [model]
        True
    """
    wanted = {id(param) for param in params}
    modules = list(_alive() if candidates is None else candidates)
    inner = {id(child) for module in modules for child in module._modules.values() if child is not None}
    owned: list[tuple[nn.Module, set[int]]] = []
    for module in modules:
        if id(module) not in inner:
            own = {id(param) for param in module.parameters()} & wanted
            if own:
                owned.append((module, own))
    # Greedy cover; of two modules that own the same, the smaller: a loss that holds the model beside others is not it.
    owned.sort(key=lambda pair: (-len(pair[1]), sum(1 for _ in pair[0].modules())))
    roots, covered = [], set()
    for module, own in owned:
        if own - covered:
            roots.append(module)
            covered |= own
    return roots


def unwrapped(module: nn.Module) -> nn.Module:
    """The user's module inside torch's own wrappers (DistributedDataParallel, DataParallel, torch.compile)."""
    while True:
        if isinstance(module, torch.jit.ScriptModule):
            return module
        inner = module._modules.get("_orig_mod")
        if inner is None and type(module) in _parallel_wrappers():
            inner = module._modules.get("module")
        if inner is None:
            return module
        module = inner


def _parallel_wrappers() -> tuple[type, ...]:
    return (nn.parallel.DistributedDataParallel, nn.DataParallel)


def _alive() -> list[nn.Module]:
    # By exact type and its bases, never by isinstance: that asks `__class__` of every proxy object in the process.
    is_module: dict[type, bool] = {}
    found = []
    for thing in gc.get_objects():
        kind = type(thing)
        known = is_module.get(kind)
        if known is None:
            known = is_module[kind] = nn.Module in kind.__mro__
        if known and "_modules" in getattr(thing, "__dict__", {}):
            found.append(thing)
    return found
