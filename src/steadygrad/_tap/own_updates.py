"""The stand-in for a script that updates its weights itself."""

import inspect
from typing import Any

from torch import Tensor
from torch.optim import SGD, Optimizer


class OwnUpdates(SGD):
    """Holds the leaves that such a script trains. It is never stepped: gradients can be changed, the step cannot."""

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """As of any optimizer, without the second that torch takes to import its compiler in order to keep it out."""
        inspect.unwrap(Optimizer.add_param_group)(self, param_group)


def params_of(optimizer: Optimizer) -> list[Tensor]:
    """What an optimizer trains."""
    return [param for group in optimizer.param_groups for param in group["params"]]
