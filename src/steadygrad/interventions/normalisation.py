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

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Lie on the layers."""
        layers = [each for each in module.modules() if isinstance(each, LAYERS)]
        for each in layers[:-1]:
            each.register_forward_hook(self._normalised)

    def _normalised(self, layer: nn.Module, args: Any, output: Any) -> Any:
        if not isinstance(output, Tensor) or output.ndim < 2:
            return None
        self.times += 1
        shape = output.shape[-1:] if isinstance(layer, nn.Linear) else output.shape[1:]
        return nn.functional.layer_norm(output, shape)
