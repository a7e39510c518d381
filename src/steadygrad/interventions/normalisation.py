"""Normalisation between the layers, put in from outside."""

from typing import Any

from torch import Tensor, nn

from .intervention import Intervention

LAYERS = (nn.Linear, nn.modules.conv._ConvNd)


class Normalisation(Intervention):
    """The output of every layer but the last is normalised over each sample.

    Reference: Ba et al., "Layer normalization", 2016.
    """

    remedy = "normalisation"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._handles: list[Any] = []

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lie on the layers."""
        layers = [each for each in module.modules() if isinstance(each, LAYERS)]
        for each in layers[:-1]:
            self._handles.append(each.register_forward_hook(self._normalised))

    def end(self) -> None:
        """Lie on them no more."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _normalised(self, layer: nn.Module, args: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.ndim < 2:
            return None
        self.times += 1
        shape = output.shape[-1:] if isinstance(layer, nn.Linear) else output.shape[1:]
        return nn.functional.layer_norm(output, shape)
