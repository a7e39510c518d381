"""Targets standardised inside the last layer: it trains as if they were, and the model goes on predicting them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.weak import WeakTensorKeyDictionary

from .functions import Functions, holds_anywhere
from .inputs import is_data
from .own_updates import OwnUpdates, params_of

POWERS = {"mse_loss": 2, "l1_loss": 1, "smooth_l1_loss": 1, "huber_loss": 1}
"""torch's regression losses, by the power with which they grow far from zero."""


class _Layer:
    r"""A layer whose outputs are predictions: :math:`W = \sigma V`, :math:`b = \sigma c + \mu`; V and c are trained."""

    def __init__(self, weight: Tensor, bias: Tensor | None, mean: Tensor, spread: Tensor) -> None:
        self.weight, self.bias = weight, bias
        self.mean, self.spread = mean, spread
        self.raw: list[Tensor] | None = None
        self._standard: list[Tensor] = []

    @property
    def _tensors(self) -> list[Tensor]:
        return [each for each in (self.weight, self.bias) if each is not None]

    def enter(self) -> None:
        """Weights and gradients become those of V and c; before the first step they are."""
        if self.raw is not None:
            self.raw = [each.detach().clone() for each in self._tensors]
            if self.bias is not None:
                self.bias -= self.mean
            for each in self._tensors:
                each /= self.spread
                if each.grad is not None:
                    each.grad *= self.spread
        self._standard = [each.detach().clone() for each in self._tensors]

    def leave(self) -> None:
        """Back to W and b, which predict targets as they are: to the last bit where no step was made."""
        idle = self.raw is not None and all(map(torch.equal, self._tensors, self._standard))
        for place, each in enumerate(self._tensors):
            if idle and self.raw is not None:
                each.copy_(self.raw[place])
            else:
                each *= self.spread
            if each.grad is not None:
                each.grad /= self.spread  # as the script has it: it may go on accumulating
        if self.bias is not None and not idle:
            self.bias += self.mean
        self.raw, self._standard = [], []


class StandardiseLastLayer(Functions):
    r"""The last layer is trained as one that predicts standardised targets.

    With targets of mean :math:`\mu` and deviation :math:`\sigma` in the first batch, :math:`W = \sigma V` and
    :math:`b = \sigma c + \mu` predict what V and c would of standardised ones. The optimizer makes its step on V and c;
    between steps the layer holds W and b. The gradient of the loss is divided by :math:`\sigma^2` (of an absolute error
    by :math:`\sigma`), as if it were in those units; the loss that the script prints stays as it is.

    For torch's regression losses of what a linear layer gives, with a bias.
    """

    remedy = "standardise-last-layer"

    def __init__(self, where: str = "", **options: Any) -> None:
        super().__init__(where, **options)
        self._made: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._layer: _Layer | None = None
        self._inside = False
        self._power = 0
        self._handles: list[Any] = []

    def end(self) -> None:
        """Lie on nothing any more. What the layer computes stays."""
        super().end()
        self._let_go()
        self._layer = None

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what each layer makes, until one has made a prediction."""
        if self._layer is None:
            for layer in module.modules():
                if isinstance(layer, nn.Linear) and layer.bias is not None:
                    self._handles.append(layer.register_forward_hook(self._keep))

    def factor(self, loss: Tensor) -> float:
        """In units of the deviation, or of its square."""
        return 1.0 if self._layer is None else float(self._layer.spread) ** -self._power

    @torch.no_grad()
    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c."""
        layer = self._layer
        if layer is None or isinstance(optimizer, (OwnUpdates, torch.optim.LBFGS)):
            return False
        self._inside = any(each is layer.weight for each in params_of(optimizer))
        if self._inside:
            layer.enter()
            self.times += 1
        return False

    @torch.no_grad()
    def after_step(self, optimizer: Optimizer) -> None:
        """And W and b follow."""
        if self._inside and self._layer is not None:
            self._layer.leave()
        self._inside = False

    def _keep(self, layer: nn.Linear, args: tuple[Any, ...], output: Tensor) -> None:
        self._made[output] = layer

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the layer has given is compared in the units of the targets from the start."""
        name = getattr(func, "__name__", "")
        if name in POWERS and len(args) > 1 and self._is_prediction(args[0], args[1]):
            if self._layer is None:
                self._find(name, args[0], args[1])
            if self._layer is not None and self._layer.raw is None:
                # The weights are V and c still; from the first step on they are W and b.
                mean = self._layer.mean if args[0].shape[-1:] == self._layer.mean.shape else self._layer.mean.mean()
                args = (args[0] * self._layer.spread + mean, *args[1:])
        return func(*args, **kwargs)

    @staticmethod
    def _is_prediction(given: Any, target: Any) -> bool:
        return isinstance(given, Tensor) and given.requires_grad and is_data(target) and given.shape == target.shape

    @torch.no_grad()
    def _find(self, name: str, input: Tensor, target: Tensor) -> None:
        """The layer that has made these predictions, as they are or seen in another shape."""
        layer = next((made for output, made in self._made.items() if _is_view(input, output)), None)
        if layer is None or layer.weight.dtype != target.dtype:
            return
        columns = target.reshape(-1, layer.out_features)
        spread = (columns - columns.mean(0)).square().mean().sqrt()
        if not holds_anywhere(spread > 1e-6 * columns.abs().mean()):
            return
        self._layer = _Layer(layer.weight, layer.bias, columns.mean(0), spread)
        self._power = POWERS[name]
        self._let_go()

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _is_view(input: Tensor, output: Tensor) -> bool:
    return input is output or (input.data_ptr() == output.data_ptr() and input.numel() == output.numel())
