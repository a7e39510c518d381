"""The stand-in for a script that updates its weights itself."""

from torch import Tensor
from torch.optim import SGD, Optimizer


class OwnUpdates(SGD):
    """Holds the leaves that such a script trains. It is never stepped: gradients can be changed, the step cannot."""


def params_of(optimizer: Optimizer) -> list[Tensor]:
    """What an optimizer trains."""
    return [param for group in optimizer.param_groups for param in group["params"]]
