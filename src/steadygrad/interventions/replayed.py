"""What a script computes of parameters that no module has, as a module that can be called."""

from collections.abc import Callable, Mapping
from typing import Any

from torch import Tensor, nn


class Replayed(nn.Module):
    """A pass that a script has made, computed again at each call: what changes the weights of modules before their
    first call changes those of its parameters.

    Args:
        params: the parameters, by the names that they have in the script.
        replay: computes the pass again, with the parameters as they are, and returns its loss.

    Example:
        >>> weight = nn.Parameter(Tensor([1.0, 1.0]))
        >>> net = Replayed({"layers.0.w": weight}, lambda: (2.0 * weight).sum())
        >>> [name for name, _ in net.named_parameters()], net().item()
        (['layers.0.w'], 4.0)
    """

    def __init__(self, params: Mapping[str, Tensor], replay: Callable[[], Tensor]) -> None:
        super().__init__()
        self._replay = replay
        for name, param in params.items():
            *path, last = name.split(".")
            owner: nn.Module = self
            for part in path:
                if part not in owner._modules:
                    owner.add_module(part, nn.Module())
                owner = owner.get_submodule(part)
            owner._parameters[last] = param  # type: ignore[assignment]  (a leaf is no `Parameter`)

    def forward(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss, with its graph."""
        return self._replay()
