"""What belongs to a training: the optimizers inside an optimizer, the owners of buffers, values that need no copy."""

from collections.abc import Iterable

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

PLAIN = (int, float, str, bool, type(None))
"""Values that are kept as they are: nobody can change them in place."""


def with_inner(optimizer: Optimizer) -> list[Optimizer]:
    """An optimizer and those it delegates to, which are its own attributes or theirs."""
    found = [optimizer]
    for each in found:
        found.extend(v for v in vars(each).values() if isinstance(v, Optimizer) and not any(v is f for f in found))
    return found


def buffer_owners(modules: Iterable[nn.Module]) -> list[dict[str, Tensor | None]]:
    """The buffers of each module that has any, of some modules and all inside them."""
    owners = {id(module): module for root in modules for module in root.modules()}
    return [m._buffers for m in owners.values() if m._buffers and not isinstance(m, torch.jit.ScriptModule)]
