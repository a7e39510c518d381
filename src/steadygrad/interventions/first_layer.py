"""Inputs standardised inside the first layer: it trains as if they were, and goes on taking them as they are."""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from .._tap import OwnUpdates, params_of
from .functions import holds_anywhere
from .inputs import is_data, parts_of
from .intervention import Intervention

OUT_OF_SCALE = 10.0
"""Mean or deviation of a feature that is out of scale."""

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
"""Layers that can be a first one: of a recurrent one, its first."""


@dataclass
class _Layer:
    r"""A layer that gets data: :math:`W = V / \sigma`, :math:`b = c - V \mu / \sigma`; V and c are what is trained."""

    weight: Tensor
    bias: Tensor | None
    mean: Tensor
    spread: Tensor
    _raw: list[Tensor] = field(default_factory=list)
    _standard: list[Tensor] = field(default_factory=list)

    def begin(self) -> None:
        """What was drawn for W and b is taken for V and c."""
        self._to_raw()

    def enter(self) -> None:
        """Weights and gradients become those of V and c."""
        tensors = [each for each in (self.weight, self.bias) if each is not None]
        self._raw = [each.detach().clone() for each in tensors]
        if self.bias is not None:
            self.bias += _by_row(self.weight * self.mean)
        self.weight *= self.spread
        self._standard = [each.detach().clone() for each in tensors]
        grad = self.weight.grad
        if grad is None:
            return
        if self.bias is not None and self.bias.grad is not None:
            grad -= self.bias.grad.view(-1, *[1] * (grad.ndim - 1)) * self.mean
        grad /= self.spread

    def leave(self) -> None:
        """Back to W and b, which compute with the data as it is: to the last bit where no step was made."""
        tensors = [each for each in (self.weight, self.bias) if each is not None]
        if all(map(torch.equal, tensors, self._standard)):
            for tensor, raw in zip(tensors, self._raw, strict=True):
                tensor.copy_(raw)
        else:
            self._to_raw()
        self._raw, self._standard = [], []
        grad = self.weight.grad
        if grad is None:
            return
        grad *= self.spread  # as the script has it: it may go on accumulating
        if self.bias is not None and self.bias.grad is not None:
            grad += self.bias.grad.view(-1, *[1] * (grad.ndim - 1)) * self.mean

    def _to_raw(self) -> None:
        self.weight /= self.spread
        if self.bias is not None:
            self.bias -= _by_row(self.weight * self.mean)


def _pads(layer: nn.modules.conv._ConvNd) -> bool:
    return layer.padding == "same" if isinstance(layer.padding, str) else any(layer.padding)


def _by_row(value: Tensor) -> Tensor:
    return value.flatten(1).sum(1)


class StandardiseFirstLayer(Intervention):
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
        self._layers: list[_Layer] = []
        self._inside: list[_Layer] = []
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
        self.step_aside()
        self._layers.clear()
        self._inside = []

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c."""
        mine = {id(param) for param in params_of(optimizer)}
        if isinstance(optimizer, (OwnUpdates, torch.optim.LBFGS)):
            return False
        self._inside = [each for each in self._layers if id(each.weight) in mine]
        self.step_back()
        self.times += len(self._inside)
        return False

    @torch.no_grad()
    def step_aside(self) -> None:
        """They hold W and b while others look."""
        for each in self._inside:
            each.leave()

    @torch.no_grad()
    def step_back(self) -> None:
        """V and c again, for the step."""
        for each in self._inside:
            each.enter()

    def after_step(self, optimizer: Optimizer) -> None:
        """And W and b follow."""
        self.step_aside()
        self._inside = []

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
        found = _Layer(weight, bias if isinstance(bias, Tensor) else None, mean, spread)
        found.begin()
        self._layers.append(found)
        self.times += 1
