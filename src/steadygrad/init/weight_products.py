"""Sees every multiplication by a weight while a model runs, whoever writes it, and may scale the weight there and then.

One hook on each layer would miss weights that a forward uses by itself (attention, hand-written cells, third-party
layers); torch's dispatcher sees them all, as `mm`, `addmm`, `convolution` and so on.
"""

import math
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy
from torch.nn.utils import parametrize
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import TorchDispatchMode

from .._readback import read_tensor_scalar

_aten = torch.ops.aten
_PLACES: dict[Any, tuple[tuple[int, ...], int | None]] = {
    _aten.mm: ((1, 0), None),
    _aten.addmm: ((2, 1), 0),
    _aten.bmm: ((1, 0), None),
    _aten.baddbmm: ((2, 1), 0),
    _aten.mv: ((0, 1), None),
    _aten.addmv: ((1, 2), 0),
    _aten.linear: ((1,), 2),
    _aten.convolution: ((1,), 2),
    _aten._trilinear: ((1,), None),
    _aten.embedding: ((0,), None),
    _aten._embedding_bag: ((0,), None),
    _aten._embedding_bag_forward_only: ((0,), None),
}
"""Where an operation may have its weight among its arguments, and where its bias."""

_COPIES = {_aten._to_copy, _aten.clone, _aten.contiguous}


@dataclass(frozen=True)
class Product:
    """A weight at its first use in a pass.

    Attributes:
        name: of the parameter, with rows where only a part of it is used here.
        param: name of the parameter alone.
        rms: root mean square of what the weight gives, its bias not counted; not finite if what comes in is not.
    """

    name: str
    param: str
    rms: float


def root_mean_square(value: Tensor) -> float:
    """The root mean square of a tensor in float64; 0 where it is empty.

    Example:
        >>> f'{root_mean_square(torch.tensor([3e30, -3e30])):.3g}'
        '3e+30'
    """
    if not value.numel():
        return 0.0
    wide = value.detach()
    wide = wide.float() if wide.device.type == "mps" else wide.double()
    return read_tensor_scalar(wide.square().mean().sqrt()) or 0.0


class WeightProducts(TorchDispatchMode):
    """While it is active, hands each weight at its first use in the pass to a function that may scale it.

    The result of the operation is scaled with the weight, so that the pass goes on as if it had always been so.

    Args:
        model: whose parameters count.
        on_product: called at the first use of each weight; returns by what it is to be multiplied (1.0: nothing).
        on_refused: called with the name of a weight that its parametrisation does not let be scaled.
        exclude: names of parameters to pass over.
    """

    def __init__(
        self,
        model: nn.Module,
        on_product: Callable[[Product], float],
        on_refused: Callable[[str], None],
        exclude: Collection[str] = (),
    ) -> None:
        super().__init__()
        self._on_product = on_product
        self._on_refused = on_refused
        self._exclude = exclude
        self._model = model
        self._params: dict[int, list[tuple[str, nn.Parameter]]] = {}
        for name, param in model.named_parameters():
            if param.ndim > 1 and param.numel() and not is_lazy(param) and "parametrizations." not in name:
                self._params.setdefault(param.untyped_storage().data_ptr(), []).append((name, param))
        # Copies of weights (made by autocast) and weights that are computed: what they are, kept alive with it.
        self._copies: dict[int, tuple[Tensor, Tensor]] = {}
        self._computed: dict[int, tuple[Tensor, str, Callable[[float], bool]]] = {}
        self._seen: set[tuple[str, int, int]] = set()
        self._inside = 0

    @contextmanager
    def active(self) -> Iterator[None]:
        """Watch one pass: hooks for what the dispatcher does not show, and no fused layers."""
        handles: list[Any] = []
        for path, module in self._model.named_modules():
            prefix = f"{path}." if path else ""
            if isinstance(module, nn.RNNBase):
                handles.append(module.register_forward_pre_hook(self._enter))
                handles.append(
                    module.register_forward_hook(self._recurrent(prefix), with_kwargs=True, always_call=True)
                )
            if parametrize.is_parametrized(module):
                for name, weights in module.parametrizations.items():  # pyright: ignore
                    handles.append(weights.register_forward_hook(self._parametrised(module, name, prefix)))
        fast = torch.backends.mha.get_fastpath_enabled()
        torch.backends.mha.set_fastpath_enabled(False)
        try:
            with torch.no_grad(), self:
                yield
        finally:
            torch.backends.mha.set_fastpath_enabled(fast)
            for handle in handles:
                handle.remove()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if self._inside:
            return out
        packet = func.overloadpacket
        if packet in _COPIES:
            source = args[0]
            if self._known(source) and out.untyped_storage().data_ptr() != source.untyped_storage().data_ptr():
                self._copies[out.untyped_storage().data_ptr()] = (out, source)
            return out
        if packet in _PLACES:
            places, bias = _PLACES[packet]
            for place in places:
                if isinstance(args[place], Tensor) and self._known(args[place]):
                    bias_value = args[bias] if bias is not None and len(args) > bias else None
                    return self._used(args[place], bias_value, out, packet, lambda: func(*args, **(kwargs or {})))
        return out

    def _known(self, tensor: Tensor) -> bool:
        place = tensor.untyped_storage().data_ptr()
        return place in self._params or place in self._copies or place in self._computed

    def _used(self, weight: Tensor, bias: Any, out: Any, packet: Any, again: Callable[[], Any]) -> Any:
        source, copies = weight, []
        while (found := self._copies.get(source.untyped_storage().data_ptr())) is not None:
            copies.append(source)
            source = found[1]
        computed = self._computed.get(source.untyped_storage().data_ptr())
        if computed is not None:
            name = param = computed[1]
            key = (name, 0, 0)
        else:
            param, owner = self._owner(source)
            start = int(source.storage_offset() - owner.storage_offset())
            size = math.prod(n for n, stride in zip(source.shape, source.stride(), strict=True) if stride)
            key = (param, start, size)
            row = max(1, owner.numel() // owner.shape[0])
            name = param if size == owner.numel() else f"{param}[{start // row}:{(start + size) // row}]"
        if key in self._seen or param in self._exclude:
            return out
        self._seen.add(key)

        def scale_(factor: float) -> bool:
            if computed is not None:
                taken = computed[2](factor)
                if taken:
                    computed[0].mul_(factor)
            else:
                _distinct(source).mul_(factor)
                taken = True
            if taken:
                for copy in copies:
                    _distinct(copy).mul_(factor)
            return taken

        def rms_of(result: Any) -> float:
            value = _first(result)
            channels = _channels(bias, value, packet)
            return root_mean_square(value if channels is None else value.double() - channels)

        rms, safe = rms_of(out), 1.0
        if not math.isfinite(rms):
            largest = read_tensor_scalar(weight.detach().double().abs().amax()) or 0.0
            if 0.0 < largest < math.inf:
                safe = 2.0 ** -math.ceil(math.log2(largest * math.sqrt(weight.numel())))
                safe = safe if scale_(safe) else 1.0
                out = again()
                rms = rms_of(out) / safe
        factor = self._on_product(Product(name, param, rms))
        if factor == safe == 1.0:
            return out
        if not scale_(factor / safe):
            self._on_refused(name)
            return out
        if safe != 1.0:
            return again()
        value = _first(out)
        channels = _channels(bias, value, packet)
        value.copy_(value * factor if channels is None else (value.double() - channels) * factor + channels)
        return out

    def _owner(self, tensor: Tensor) -> tuple[str, nn.Parameter]:
        candidates = self._params[tensor.untyped_storage().data_ptr()]
        for name, param in candidates:
            if 0 <= tensor.storage_offset() - param.storage_offset() < param.numel():
                return name, param
        return candidates[0]

    def _parametrised(self, module: nn.Module, name: str, prefix: str) -> Callable[..., None]:
        def made(weights: nn.Module, args: Any, output: Any) -> None:
            if isinstance(output, Tensor) and not self._inside:
                setter = _right_inverse(self, module, name, output)
                self._computed[output.untyped_storage().data_ptr()] = (output, prefix + name, setter)

        return made

    def _enter(self, module: nn.Module, args: Any) -> None:
        self._inside += 1

    def _recurrent(self, prefix: str) -> Callable[..., Any]:
        def leave(module: nn.RNNBase, args: Any, kwargs: Any, output: Any) -> Any:
            try:
                return self._scale_inputs(module, prefix, args, kwargs, output) if output is not None else None
            finally:
                self._inside -= 1

        return leave

    def _scale_inputs(self, module: nn.RNNBase, prefix: str, args: Any, kwargs: Any, output: Any) -> Any:
        """Scale the input weights of a recurrent module, layer after layer; returns what it gives then."""
        given = args[0] if args else kwargs["input"]
        data = given.data if isinstance(given, PackedSequence) else given
        sides = 2 if module.bidirectional else 1
        changed = False
        for layer in range(module.num_layers):
            if layer:
                # What comes from the layer below: its last states stand for all of them.
                states = output[1][0] if isinstance(output[1], tuple) else output[1]
                data = torch.cat(tuple(states[sides * (layer - 1) : sides * layer]), -1)
            layer_changed = False
            for side in range(sides):
                name = f"weight_ih_l{layer}{'_reverse' if side else ''}"
                weight = getattr(module, name)
                if (prefix + name) in self._exclude or (prefix + name, 0, 0) in self._seen:
                    continue
                self._seen.add((prefix + name, 0, 0))
                rms = root_mean_square(data.double() @ weight.detach().double().t())
                factor = self._on_product(Product(prefix + name, prefix + name, rms))
                if factor != 1.0:
                    weight.mul_(factor)
                    layer_changed = True
            if layer_changed:
                output = module.forward(*args, **kwargs)
                changed = True
        return output if changed else None


def _right_inverse(mode: WeightProducts, module: nn.Module, name: str, old: Tensor) -> Callable[[float], bool]:
    """Sets a parametrised weight through the parametrisation; where it does not take the scale, nothing is changed."""

    def scale_(factor: float) -> bool:
        originals = [(param, param.detach().clone()) for param in module.parametrizations[name].parameters()]  # pyright: ignore
        before = root_mean_square(old)
        mode._inside += 1
        try:
            with torch.no_grad():
                setattr(module, name, old * factor)
                after = root_mean_square(getattr(module, name))
            if math.isclose(after, before * factor, rel_tol=0.02):
                return True
        except (NotImplementedError, RuntimeError, ValueError):
            pass
        finally:
            mode._inside -= 1
        with torch.no_grad():
            for param, original in originals:
                param.copy_(original)
        return False

    return scale_


def _first(result: Any) -> Tensor:
    return result[0] if isinstance(result, (tuple, list)) else result


def _distinct(tensor: Tensor) -> Tensor:
    """One of the repetitions of an expanded tensor."""
    for dim, stride in enumerate(tensor.stride()):
        if stride == 0:
            tensor = tensor.narrow(dim, 0, 1)
    return tensor


def _channels(bias: Any, value: Tensor, packet: Any) -> Tensor | None:
    """A fused bias, shaped to be subtracted from the output."""
    if not isinstance(bias, Tensor):
        return None
    bias = bias.detach().double()
    if packet is _aten.convolution:
        return bias.view(-1, *([1] * (value.ndim - 2)))
    return bias
