"""Targets standardised inside the last layer: it trains as if they were, and the model goes on predicting them."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.weak import WeakTensorKeyDictionary

from .._readback import read_tensor_scalar
from .functions import Functions, holds_anywhere, leave
from .inputs import is_data
from .reparametrised import Layer, Reparametrisation

POWERS = {"mse_loss": 2, "l1_loss": 1, "smooth_l1_loss": 1, "huber_loss": 1}
"""torch's regression losses, by the power with which they grow far from zero."""


class Predicting(Layer):
    r"""A layer whose outputs are predictions: :math:`W = \sigma V`, :math:`b = \sigma c + \mu`."""

    KEPT = ("mean", "spread", "units", "begun")

    def __init__(self, weight: Tensor, bias: Tensor, mean: Tensor, spread: Tensor) -> None:
        super().__init__([weight, bias])
        self.mean, self.spread = mean, spread
        self.units = read_tensor_scalar(spread) or 1.0
        self.begun = False

    def begin(self) -> None:
        """What was drawn for W and b is taken for V and c; the gradients that are there are those of V and c too."""
        self.to_used()
        self.grads_to_used()
        self.begun = True

    def to_trained(self) -> None:
        """V and c."""
        self.tensors[1] -= self.mean
        for each in self.tensors:
            each /= self.spread

    def to_used(self) -> None:
        """W and b, which predict targets as they are."""
        for each in self.tensors:
            each *= self.spread
        self.tensors[1] += self.mean

    def grads_to_trained(self) -> None:
        """Times the deviation."""
        self._scale_grads(self.spread)

    def grads_to_used(self) -> None:
        """Divided by it."""
        self._scale_grads(1.0 / self.spread)

    def grads_to_steps(self) -> None:
        """What V and c change by, seen in W and b."""
        self._scale_grads(self.spread)

    def _scale_grads(self, factor: Tensor) -> None:
        for each in self.tensors:
            if each.grad is not None:
                each.grad *= factor


class StandardiseLastLayer(Reparametrisation, Functions):
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
        self._layer: Predicting | None = None
        self._power = 0
        self._handles: list[Any] = []

    def end(self) -> None:
        """Lie on nothing any more. What the layer computes stays."""
        Functions.end(self)
        self._let_go()
        Reparametrisation.end(self)
        self._layer = None

    @property
    def share(self) -> float:
        """In units of the deviation, or of its square."""
        return 1.0 if self._layer is None else self._layer.units**-self._power

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what each layer makes, until one has made a prediction."""
        if self._layer is None:
            for layer in module.modules():
                if isinstance(layer, nn.Linear) and layer.bias is not None:
                    self._handles.append(layer.register_forward_hook(self._keep))

    def factor(self, loss: Tensor) -> float:
        """As everything beside the layer has it."""
        return self.share

    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c."""
        self.settle()
        return super().before_step(optimizer)

    @torch.no_grad()
    def settle(self) -> None:
        """From here on the layer holds W and b."""
        if self._layer is not None and not self._layer.begun:
            self._layer.begin()
            leave(self._mode)  # from here on there is nothing to compare

    def _keep(self, layer: nn.Linear, args: tuple[Any, ...], output: Tensor) -> None:
        if not torch.compiler.is_compiling():
            self._made[output] = layer, output._version

    def called(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """What the layer has given is compared in the units of the targets from the start."""
        name = getattr(func, "__name__", "")
        if name in POWERS and len(args) > 1 and self._is_prediction(args[0], args[1]):
            if self._layer is None:
                self._find(name, args[0], args[1])
            if self._layer is not None and not self._layer.begun:
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
        known = ((output, *made) for output, made in self._made.items())
        layer = next((layer for output, layer, version in known if _is_view(input, output, version)), None)
        if layer is None or layer.weight.dtype != target.dtype:
            return
        columns = target.reshape(-1, layer.out_features)
        spread = (columns - columns.mean(0)).square().mean().sqrt()
        if not holds_anywhere(spread > 1e-6 * columns.abs().mean()):
            return
        self._layer = Predicting(layer.weight, layer.bias, columns.mean(0), spread)
        self.layers.append(self._layer)
        self._power = POWERS[name]
        self._let_go()

    def _let_go(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()


def _is_view(input: Tensor, output: Tensor, version: int) -> bool:
    """Whether a prediction is what a layer has given, untouched, entry by entry in the same order."""
    if input is output:
        return output._version == version
    same = input.data_ptr() == output.data_ptr() and input.numel() == output.numel()
    return same and output._version == version and input.is_contiguous() and output.is_contiguous()
