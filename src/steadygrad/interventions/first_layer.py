"""Inputs standardised inside the first layer: it trains as if they were, and goes on taking them as they are."""

from typing import Any

import torch
from torch import Tensor, nn

from .functions import holds_anywhere
from .inputs import is_data, parts_of
from .reparametrised import Layer, Reparametrisation

OUT_OF_SCALE = 10.0
"""Mean or deviation of a feature that is out of scale."""

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
"""Layers that can be a first one: of a recurrent one, its first."""


class _Standardised(Layer):
    r"""A layer that gets data: :math:`W = V / \sigma`, :math:`b = c - V \mu / \sigma`.

    Args:
        weight: W, whose axis `inputs` is that of the features.
        bias: b, if it has one.
        mean: :math:`\mu`, in the shape of one output's weights.
        spread: :math:`\sigma`.
        inputs: the axis.
    """

    def __init__(self, weight: Tensor, bias: Tensor | None, mean: Tensor, spread: Tensor, inputs: int) -> None:
        super().__init__([weight] if bias is None else [weight, bias])
        self.weight, self.bias = weight, bias
        self._mean, self._spread, self._inputs = mean, spread, inputs
        self.to_used()  # what was drawn for W and b is taken for V and c

    def to_trained(self) -> None:
        """V and c."""
        if self.bias is not None:
            self.bias += self._by_output(self.weight * self._mean)
        self.weight *= self._spread

    def to_used(self) -> None:
        """W and b, which compute with the data as it is."""
        self.weight /= self._spread
        if self.bias is not None:
            self.bias -= self._by_output(self.weight * self._mean)

    def grads_to_trained(self) -> None:
        """By the chain rule."""
        if self.weight.grad is not None:
            self.weight.grad -= self._shift()
            self.weight.grad /= self._spread

    def grads_to_used(self) -> None:
        """And back."""
        if self.weight.grad is not None:
            self.weight.grad *= self._spread
            self.weight.grad += self._shift()

    def grads_to_steps(self) -> None:
        """What V and c change by, seen in W and b."""
        if self.weight.grad is not None:
            self.weight.grad /= self._spread
            if self.bias is not None and self.bias.grad is not None:
                self.bias.grad -= self._by_output(self.weight.grad * self._mean)

    def _shift(self) -> Tensor | float:
        if self.bias is None or self.bias.grad is None:
            return 0.0
        shape = [1] * self.weight.ndim
        shape[1 - self._inputs] = -1
        return self.bias.grad.view(shape) * self._mean

    def _by_output(self, value: Tensor) -> Tensor:
        return value.movedim(self._inputs, 1).flatten(1).sum(1)


def _pads(layer: nn.modules.conv._ConvNd) -> bool:
    return layer.padding == "same" if isinstance(layer.padding, str) else any(layer.padding)


class StandardiseFirstLayer(Reparametrisation):
    r"""The first layer is trained as one of standardised inputs.

    With features of mean :math:`\mu` and deviation :math:`\sigma` on the first batch, :math:`W = V / \sigma` and
    :math:`b = c - V \mu / \sigma` compute what V and c would of standardised inputs. The optimizer makes its step on V
    and c, with their gradients; between steps the layer holds W and b. So any optimizer trains as if the inputs were
    standardised, and whoever uses the model gives it the inputs as they are.

    Reference: LeCun et al., "Efficient BackProp", 1998.
    """

    remedy = "standardise-first-layer"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._handles: list[Any] = []

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what each layer gets in this pass, in order: behind a mended one the scale is what it should be."""
        places = {each.data_ptr() for each in parts_of(args, kwargs) if is_data(each)}
        for layer in module.modules():
            if isinstance(layer, LAYERS) and not isinstance(layer, nn.modules.conv._ConvTransposeNd):
                self._handles.append(layer.register_forward_pre_hook(self._finder(places)))
        self._handles.append(module.register_forward_hook(lambda *_: self._found()))

    def end(self) -> None:
        """Lie on them no more. What they compute stays."""
        self._found()
        super().end()

    def _found(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _finder(self, places: set[int]) -> Any:
        def look(layer: nn.Module, args: tuple[Any, ...]) -> Any:
            given = args[0] if args else None
            if isinstance(given, Tensor) and given.is_floating_point() and given.numel() > 1:
                self._begin(layer, given.detach(), whole=given.data_ptr() in places and is_data(given))
            return None

        return look

    @torch.no_grad()
    def _begin(self, layer: nn.Module, given: Tensor, *, whole: bool) -> None:
        """Take a layer whose input is data, as a `whole`, or has features that are out of scale: those."""
        weight = getattr(layer, "weight_ih_l0", None) if isinstance(layer, nn.RNNBase) else layer.weight
        bias = getattr(layer, "bias_ih_l0", None) if isinstance(layer, nn.RNNBase) else layer.bias
        is_conv = isinstance(layer, nn.modules.conv._ConvNd)
        dim = 1 if is_conv else given.ndim - 1
        if not isinstance(weight, Tensor) or weight.shape[1] != given.shape[dim] or weight.dtype != given.dtype:
            return
        over = [place for place in range(given.ndim) if place != dim]
        wide = given.double()
        mean, spread = wide.mean(over), wide.std(over, unbiased=False)
        varies = spread > 1e-6 * mean.abs().clamp(min=1e-30)
        if not whole:
            varies &= (mean.abs() > OUT_OF_SCALE) | (spread > OUT_OF_SCALE)
        if is_conv and _pads(layer):
            # What is padded is zero as it comes, and not the mean: only centred features can be taken.
            varies &= mean.abs() < spread
            mean = torch.zeros_like(mean)
        if not holds_anywhere(varies):
            return
        shape = [1, -1, *[1] * (weight.ndim - 2)]
        mean = torch.where(varies, mean, 0.0).to(weight.dtype).view(shape)
        spread = torch.where(varies, spread, 1.0).to(weight.dtype).view(shape)
        self.layers.append(_Standardised(weight, bias if isinstance(bias, Tensor) else None, mean, spread, 1))
        self.times += 1
