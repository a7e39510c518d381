"""Inputs standardised inside the first layer: it trains as if they were, and goes on taking them as they are."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer
from torch.utils.weak import WeakTensorKeyDictionary

from .._foreach import zero_
from .._tap import params_of
from .data import has_numbers
from .functions import LeavableMode, enter, holds_anywhere, leave
from .inputs import is_data, parts_of
from .reparametrised import Layer, Reparametrisation
from .tried import uncounted

OUT_OF_SCALE = 10.0
"""Mean or deviation of a feature that is out of scale."""

RARE = 3
"""Rows that differ from the rest, with fewer than which nothing is known of a feature's scale."""

ENOUGH = 4096
"""Rows among which such are looked for."""

LAYERS = (nn.Linear, nn.modules.conv._ConvNd, nn.RNNBase)
"""Layers that can be a first one: of a recurrent one, its first."""


class Standardised(Layer):
    r"""A layer that gets data: :math:`W = V / \sigma`, :math:`b = c - V \mu / \sigma`.

    Args:
        weight: W, whose axis `inputs` is that of the features.
        bias: b, if it has one.
        mean: :math:`\mu`, in the shape of one output's weights.
        spread: :math:`\sigma`.
        inputs: the axis.
    """

    KEPT = ("_mean", "_spread", "_inputs")

    def __init__(self, weight: Tensor, bias: Tensor | None, mean: Tensor, spread: Tensor, inputs: int) -> None:
        super().__init__([weight] if bias is None else [weight, bias])
        self._mean, self._spread, self._inputs = mean, spread, inputs
        self.to_used()  # what was drawn for W and b is taken for V and c

    @property
    def weight(self) -> Tensor:
        """W."""
        return self.tensors[0]

    @property
    def bias(self) -> Tensor | None:
        """b, if there is one."""
        return self.tensors[1] if len(self.tensors) > 1 else None

    def to_trained(self) -> None:
        """V and c."""
        if self.bias is not None:
            self.bias.add_(self._by_output(self.weight * self._mean))
        self.weight.mul_(self._spread)

    def to_used(self) -> None:
        """W and b, which compute with the data as it is."""
        self.weight.div_(self._spread)
        if self.bias is not None:
            self.bias.sub_(self._by_output(self.weight * self._mean))

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
        if self.weight.ndim > 1:
            shape[1 - self._inputs] = -1
        return self.bias.grad.view(shape) * self._mean

    def _by_output(self, value: Tensor) -> Tensor:
        outputs = 1 - self._inputs if value.ndim > 1 else None
        return value.sum([dim for dim in range(value.ndim) if dim != outputs])


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
        self._own: set[int] = set()
        self._products: _Products | None = None
        self._stale = False

    def begin(self) -> None:
        """Weights that are no layer's are looked for in the first pass, and changed after it."""
        self._products = _Products(self._own)
        enter(self._products)

    def first_forward(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """Look at what each layer gets in this pass, in order: behind a mended one the scale is what it should be."""
        places = {each.data_ptr() for each in parts_of(args, kwargs) if is_data(each)}
        for layer in module.modules():
            if isinstance(layer, LAYERS):
                self._own.update(id(param) for param in layer.parameters())
                if not isinstance(layer, nn.modules.conv._ConvTransposeNd):
                    self._handles.append(layer.register_forward_pre_hook(self._finder(places)))
        self._handles.append(module.register_forward_hook(lambda *_: self._found()))

    def settle(self) -> None:
        """The first pass is over."""
        if self._products is None or self._products.left:
            return
        leave(self._products)
        before = len(self.layers)
        for product in self._products.found.values():
            self._take(product, product.given.ndim - 1, whole=True, padded=False)
        self._products.found.clear()
        self._stale = len(self.layers) > before

    def before_step(self, optimizer: Optimizer) -> bool:
        """The step is made on V and c; a gradient of a pass before they were is none of theirs."""
        self.settle()
        if self._stale:
            self._stale = False
            zero_([param.grad for param in params_of(optimizer) if param.grad is not None])
        return super().before_step(optimizer)

    def end(self) -> None:
        """Lie on them no more. What they compute stays."""
        if self._products is not None:
            leave(self._products)
            self._products = None
        self._found()
        super().end()

    def _found(self) -> None:
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _finder(self, places: set[int]) -> Any:
        def look(layer: nn.Module, args: tuple[Any, ...]) -> Any:
            given = args[0] if args else None
            if not isinstance(given, Tensor) or not has_numbers(given):
                return None
            if given.is_floating_point() and given.numel() > 1:
                self._begin(layer, given.detach(), whole=given.data_ptr() in places and is_data(given))
            return None

        return look

    def _begin(self, layer: nn.Module, given: Tensor, *, whole: bool) -> None:
        """Take a layer whose input is data, as a `whole`, or has features that are out of scale: those."""
        weight = getattr(layer, "weight_ih_l0", None) if isinstance(layer, nn.RNNBase) else layer.weight
        bias = getattr(layer, "bias_ih_l0", None) if isinstance(layer, nn.RNNBase) else layer.bias
        is_conv = isinstance(layer, nn.modules.conv._ConvNd)
        dim = 1 if is_conv else given.ndim - 1
        if not isinstance(weight, Tensor) or weight.shape[1] != given.shape[dim]:
            return
        self._take(
            _Product(given, weight, bias if isinstance(bias, Tensor) else None, 1),
            dim,
            whole=whole,
            padded=is_conv and _pads(layer),
        )

    @torch.no_grad()
    def _take(self, product: "_Product", dim: int, *, whole: bool, padded: bool) -> None:
        given, weight = product.given, product.weight
        # One pass may call a layer several times: once it is taken its weights are for data as it is.
        taken = any(each.tensors[0] is weight for each in self.layers)
        if taken or weight.dtype != given.dtype:
            return
        over = [place for place in range(given.ndim) if place != dim]
        wide = given.double()
        mean, spread = wide.mean(over), wide.std(over, unbiased=False)
        varies = spread > 1e-6 * mean.abs().clamp(min=1e-30)
        # A pixel at the border is zero but for a trace in one row: by that deviation it would be enormous once it is
        # lit. Beside others in units of their own no scale is too small for a column; so it is the number of rows that
        # tells. What so few rows show may make a feature smaller, and never larger.
        spread = torch.where(_is_rare(wide, dim), spread.clamp(min=1.0), spread)
        if not whole:
            varies &= (mean.abs() > OUT_OF_SCALE) | (spread > OUT_OF_SCALE)
        if padded:
            # What is padded is zero as it comes, and not the mean: only centred features can be taken.
            varies &= mean.abs() < spread
            mean = torch.zeros_like(mean)
        if not holds_anywhere(varies):
            return
        shape = [1] * weight.ndim
        shape[product.inputs] = -1
        mean = torch.where(varies, mean, 0.0).to(weight.dtype).view(shape)
        spread = torch.where(varies, spread, 1.0).to(weight.dtype).view(shape)
        with uncounted([weight] if product.bias is None else [weight, product.bias]):
            self.layers.append(Standardised(weight, product.bias, mean, spread, product.inputs))
        self.times += 1


def _is_rare(value: Tensor, dim: int) -> Tensor:
    """Of each feature, whether nearly all rows have the same number: fewer than `RARE` have another one.

    Of a few rows most need to: two that differ are all that there is.
    """
    rows = value.movedim(dim, -1).reshape(-1, value.shape[dim])
    rows = rows[:: max(1, len(rows) // ENOUGH)]
    most = rows.sort(0).values[len(rows) // 2]  # what most rows have is the middle one's too
    return (rows != most).sum(0) < min(RARE, len(rows) // 2)


@dataclass
class _Product:
    """Data times a weight, whose axis `inputs` is that of the features, and perhaps a bias."""

    given: Tensor
    weight: Tensor
    bias: Tensor | None
    inputs: int


class _Products(LeavableMode):
    """Finds products of data and bare weights, and the biases that are added to them.

    Args:
        layers: weights that are a layer's own.
    """

    def __init__(self, layers: set[int]) -> None:
        super().__init__()
        self._layers = layers
        self.found: dict[int, _Product] = {}
        self._made: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def made(self, func: Any, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> None:
        name = getattr(func, "__name__", "")
        if not kwargs and isinstance(output, Tensor) and output.requires_grad:
            if name in ("matmul", "__matmul__", "mm", "mv") and len(args) == 2:
                self._multiplied(output, args[0], args[1], None, 0)
            elif name == "linear" and len(args) in (2, 3):
                self._multiplied(output, args[0], args[1], (*args, None)[2], 1)
            elif name == "addmm" and len(args) == 3:
                self._multiplied(output, args[1], args[2], args[0], 0)
            elif name in ("add", "__add__", "__radd__", "add_", "__iadd__") and len(args) == 2:
                self._added(args[0], args[1])
                self._added(args[1], args[0])

    def _multiplied(self, output: Tensor, given: Any, weight: Any, bias: Any, inputs: int) -> None:
        bare = _is_leaf(weight) and weight.ndim in (1, 2) and id(weight) not in self._layers
        if bare and is_data(given) and given.ndim > 1 and given.shape[-1] == weight.shape[inputs]:
            self._made[output] = id(weight)
            if id(weight) not in self.found:
                self.found[id(weight)] = _Product(given, weight, bias if _is_leaf(bias) else None, inputs)

    def _added(self, output: Any, bias: Any) -> None:
        """A row is added to what a product has made."""
        if not isinstance(output, Tensor) or output not in self._made or not _is_leaf(bias):
            return
        product = self.found[self._made[output]]
        units = product.weight.shape[1 - product.inputs] if product.weight.ndim > 1 else 1
        if product.bias is None and bias.numel() == bias.shape[-1:].numel() == units:
            product.bias = bias


def _is_leaf(value: Any) -> bool:
    return isinstance(value, Tensor) and value.requires_grad and value.is_leaf
