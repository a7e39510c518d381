"""Rescaling an explosive initialisation, layer after layer, in one forward pass of the script's own model.

Mishkin and Matas, "All you need is a good init", 2016 (the layer-sequential pass), for weights that amplify only.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from .inert import InertHook

AMPLIFIES = 3.0
"""Gain of one layer above which it is rescaled to keep the size of what comes in."""

RECURRENT = 1.2
"""Spectral norm of a recurrent weight above which it is scaled to 1: over many time steps it explodes."""

LAYERS = (nn.Linear, nn.Bilinear, nn.modules.conv._ConvNd, nn.RNNBase, nn.RNNCellBase)
"""Layers that multiply by a weight."""


class RescaleInit:
    """Lies on the layers for one forward pass; each is measured on what the layers before it, mended, give it.

    A layer whose output has more than `AMPLIFIES` times the root mean square of its input has its weights divided by
    that gain, and computes its output anew, so that the pass goes on as if they had always been so.

    Args:
        roots: the modules that own the parameters.
        on_done: called after the pass with the factor of each rescaled layer, by its name.
        on_error: receives errors of ours.
    """

    def __init__(
        self,
        roots: Sequence[nn.Module],
        on_done: Callable[[dict[str, float]], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._on_done = on_done
        self._on_error = on_error
        self._factors: dict[str, float] = {}
        self._handles: list[Any] = []
        for root in roots:
            for name, module in root.named_modules():
                if isinstance(module, LAYERS):
                    hook = InertHook(self._named(name or type(module).__name__))
                    self._handles.append(module.register_forward_hook(hook, with_kwargs=True))
            self._handles.append(root.register_forward_hook(InertHook(self._end)))

    def remove(self) -> None:
        """Take the hooks away."""
        for handle in self._handles:
            handle.remove()
        self._handles.clear()

    def _named(self, name: str) -> Callable[..., Any]:
        def mend(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Any) -> Any:
            if torch.compiler.is_compiling():
                return None
            try:
                factor = _mend_(module, args, output)
                if factor == 1.0:
                    return None
                self._factors[name] = self._factors.get(name, 1.0) * factor
            except Exception as error:
                self._on_error(error)
                return None
            return module.forward(*args, **kwargs)

        return mend

    def _end(self, module: nn.Module, args: Any, output: Any) -> None:
        try:
            self.remove()
            self._on_done(self._factors)
        except Exception as error:
            self._on_error(error)


@torch.no_grad()
def _mend_(module: nn.Module, args: tuple[Any, ...], output: Any) -> float:
    """Scale a layer's weights down if they amplify; returns the strongest factor."""
    factors = [1.0]
    for name, weight in module.named_parameters(recurse=False):
        if "weight_hh" in name:
            # Of gates stacked on each other, each multiplies the state.
            size = max(_number(torch.linalg.matrix_norm(gate.float(), 2)) for gate in weight.split(weight.shape[1]))
            if size > RECURRENT:
                weight.data.mul_(1.0 / size)  # no version counts it: the script may have used it in this step
                factors.append(1.0 / size)
    came, went = _size(args[0] if args else None), _size(output)
    if came > 0.0 and not went <= AMPLIFIES * came:
        weights = [w for n, w in module.named_parameters(recurse=False) if w.ndim > 1 and "weight_hh" not in n]
        gain = went / came if math.isfinite(went) else _beyond_natural(weights)
        if gain > AMPLIFIES:
            for weight in weights:
                weight.data.mul_(1.0 / gain)
            factors.append(1.0 / gain)
    return min(factors)


def _beyond_natural(weights: Sequence[Tensor]) -> float:
    """How many times larger than a sound initialisation weights are whose output is not even finite."""
    return max((_number(w.float().square().mean().sqrt()) * math.sqrt(w[0].numel()) for w in weights), default=1.0)


def _size(value: Any) -> float:
    """The root mean square of a layer's input or output."""
    tensor = value[0] if isinstance(value, (tuple, list)) and value else value
    if not isinstance(tensor, Tensor) or not tensor.is_floating_point() or not tensor.numel():
        return 0.0
    return _number(tensor.detach().double().square().mean().sqrt())


def _number(value: Tensor) -> float:
    return read_tensor_scalar(value) or 0.0
