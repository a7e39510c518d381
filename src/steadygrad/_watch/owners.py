"""Who owns what a process trains: the outermost modules, and what of them is kept from before their first pass."""

import weakref
from collections.abc import Callable, Sequence

from torch import Tensor, nn
from torch.optim import Optimizer

from .._names import find_roots
from .._snapshot import BufferSnapshot
from .._tap import LoadTap

Early = tuple[BufferSnapshot, LoadTap]
"""The buffers of an optimizer's modules, and what looks out for a checkpoint that is loaded into them."""


class Owners:
    """The modules of one process that own what its optimizers train.

    Args:
        modules: where to look for them; None: every module that is alive.
        on_error: is told an error of ours.
    """

    def __init__(self, modules: Sequence[nn.Module] | None, on_error: Callable[[BaseException], None]) -> None:
        self._modules = modules
        self._on_error = on_error
        self._known: weakref.WeakSet[nn.Module] = weakref.WeakSet()
        self._built: weakref.WeakSet[Optimizer] = weakref.WeakSet()
        self._early: weakref.WeakKeyDictionary[Optimizer, Early] = weakref.WeakKeyDictionary()

    def roots(self, params: Sequence[Tensor]) -> list[nn.Module]:
        """The owners of some parameters; all modules of the process are looked through only if the known do not do."""
        if self._modules is None:
            known = find_roots(params, list(self._known))
            owned = {id(param) for root in known for param in root.parameters()}
            if known and all(id(param) in owned for param in params):
                return known
        roots = find_roots(params, self._modules)
        self._known.update(roots)
        return roots

    def built(self, optimizer: Optimizer) -> None:
        """An optimizer was made."""
        self._built.add(optimizer)

    def are_owned(self, leaves: Sequence[Tensor]) -> bool:
        """Whether an optimizer has any of these, as far as the process has made one."""
        wanted = set(map(id, leaves))
        return any(
            id(param) in wanted for each in self._built for group in each.param_groups for param in group["params"]
        )

    def keep(self, optimizer: Optimizer, roots: Sequence[nn.Module]) -> None:
        """Keep the buffers of an optimizer's modules before the first forward pass touches them."""
        buffers = BufferSnapshot(roots)
        self._early[optimizer] = buffers, LoadTap(roots, buffers.save, self._on_error)

    def kept(self, optimizer: Optimizer) -> Early | None:
        """What was kept, once."""
        return self._early.pop(optimizer, None)

    def remove(self) -> None:
        """Lie on no module any more."""
        for _, loads in self._early.values():
            loads.remove()

    def forget(self) -> None:
        """Hold no module any more."""
        self._early.clear()
        self._modules = None
