"""What the modules of a model put out in a sampled forward pass, and the gradient that comes back to them."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields, is_dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _NormBase
from torch.nn.modules.conv import _ConvNd
from torch.nn.modules.rnn import RNNCellBase
from torch.utils.hooks import RemovableHandle

from .. import _dist
from .._foreach import dense_values
from .activations import MARGIN, dead_fraction, saturated_fraction
from .passes import SampledPasses, is_wrapper

FEATURES_LAST = (nn.Linear, nn.Bilinear, nn.Embedding, nn.LayerNorm, nn.RMSNorm, nn.MultiheadAttention, nn.RNNBase)
CHANNELS_SECOND = (_NormBase, nn.GroupNorm)


@dataclass(frozen=True, slots=True)
class ActivationStats:
    """What one module put out in one forward pass: 0-d tensors on its device, unread.

    `rms` (root of the mean square) is that of the finite elements, as `grad_rms` is of the gradient with respect to the
    output; `nonfinite_count` and `grad_nonfinite_count` count the others. The gradient's are None until the backward
    has come by. `dead_fraction` is None except for ReLU, ReLU6, Hardswish and recurrent layers with ReLU;
    `saturated_fraction` except for Sigmoid, Tanh, Hardsigmoid, Hardtanh, and the hidden states of LSTM, GRU and RNN.
    Of a module that was called several times (`calls`) the largest of each is kept, and the counts are added up.
    """

    rms: Tensor
    nonfinite_count: Tensor
    dead_fraction: Tensor | None = None
    saturated_fraction: Tensor | None = None
    grad_rms: Tensor | None = None
    grad_nonfinite_count: Tensor | None = None
    calls: int = 1


class ActivationProbe(SampledPasses):
    """Measures what each module puts out, and the gradient that comes back to it, every n-th training pass.

    Training is bit-identical with it: nothing is changed, no random number is drawn, no graph is kept. The gradient is
    measured by hooks on output tensors, which leaves modules that work in place alone. Of an output with several
    tensors (tuples, dicts, dataclasses, packed sequences) the first floating one that has a dimension is measured, and
    non-finite elements are counted in all of them.

    Not seen: nonlinearities that are functions and no modules; what a compiled region computes; modules that are added
    later; gradients inside `torch.utils.checkpoint` with `use_reentrant=True`, which runs without a graph. Dead units
    are sought along the dimension that the convolution, normalisation or linear layer before the ReLU works on.
    Gradients are those of the loss as it is scaled (by `GradScaler`); of DTensors this rank's part is measured, of
    sparse tensors the stored values. Squares are summed in float32: beyond 1e19 `rms` is `inf`.

    Args:
        model: the model whose forward passes are counted.
        every: passes from one sample to the next; the first one is sampled. Passes in eval mode are not counted.
        modules: what to measure: paths as `named_modules` gives them, or a function of path and module. By default
            every module without children.
        on_error: receives an error of ours, after which the probe is off. Without it the log does.

    Raises:
        ValueError: `every` is less than 1, or the model has no module of such a path.

    Example:
        >>> model = nn.Sequential(nn.Linear(4, 8), nn.ReLU())
        >>> with ActivationProbe(model, every=1) as probe:
        ...     model(torch.zeros(2, 4)).sum().backward()
        ...     stats = probe.read()
        >>> sorted(stats), stats["1"].grad_rms.item()
        (['0', '1'], 1.0)
    """

    def __init__(
        self,
        model: nn.Module,
        *,
        every: int = 100,
        modules: Iterable[str] | Callable[[str, nn.Module], bool] | None = None,
        on_error: Callable[[Exception], None] | None = None,
    ) -> None:
        named = dict(model.named_modules())
        leaves = {path for path, module in named.items() if _is_leaf(path, module)}
        if modules is None:
            chosen = leaves
        elif callable(modules):
            chosen = {path for path, module in named.items() if modules(path, module)}
        else:
            chosen = set(modules)
            if chosen - named.keys():
                raise ValueError(f"modules has {sorted(chosen - named.keys())}, which {type(model).__name__} has not")
        self._chosen = chosen
        self._records: dict[str, _Record] = {}
        self._grad_handles: list[RemovableHandle] = []
        self._unit_dim: int | None = None
        # The other leaves too: they tell where the units are.
        super().__init__(
            model, [(path, module) for path, module in named.items() if path in chosen | leaves], every, on_error
        )

    def read(self) -> dict[str, ActivationStats]:
        """What the last sampled pass has shown so far.

        Returns:
            The statistics by the modules' paths, in the order of the first call. Empty before the first sample.
        """
        return {path: record.stats() for path, record in self._records.items()}

    def close(self) -> None:
        """Take every hook away; what was measured can still be read."""
        super().close()
        self._drop_grad_hooks()

    def _begin(self) -> None:
        self._drop_grad_hooks()
        self._records = {}
        self._unit_dim = None

    def _after(self, path: str, module: nn.Module, output: Any) -> None:
        dim = _unit_dim(module)
        if dim is not None:
            self._unit_dim = dim
        tensors = list(_tensors(output))
        if path not in self._chosen or not tensors:
            return
        main = next((tensor for tensor in tensors if tensor.ndim), tensors[0])
        record = self._records.setdefault(path, _Record())
        with torch.no_grad():
            record.keep(_activity(module, _local(main), self._unit_dim), [_bad(_local(tensor)) for tensor in tensors])
        # A leaf here is the user's own tensor or parameter: a hook on it would outlive the pass.
        if main.requires_grad and not main.is_leaf:
            self._grad_handles.append(main.register_hook(self._grad_hook(record)))

    def _grad_hook(self, record: "_Record") -> Callable[[Tensor | None], None]:
        def measure(grad: Tensor | None) -> None:
            # None where another output of the same node was the only one used.
            if grad is None or self._stopped or torch.compiler.is_compiling() or is_wrapper(grad):
                return
            try:
                with torch.no_grad():
                    record.keep_grad(_local(grad))
            except Exception as error:
                self._fail(error)

        return measure

    def _drop_grad_hooks(self) -> None:
        for handle in self._grad_handles:
            handle.remove()
        self._grad_handles.clear()


class _Record:
    """The measurements of one module in one pass, growing."""

    def __init__(self) -> None:
        self._largest: dict[str, Tensor] = {}
        self._sums: dict[str, Tensor] = {}
        self._calls = 0

    def keep(self, activity: dict[str, Tensor], bad: list[Tensor]) -> None:
        self._calls += 1
        for name, value in activity.items():
            self._keep_larger(name, value)
        for count in bad:
            self._add("nonfinite_count", count)

    def keep_grad(self, grad: Tensor) -> None:
        self._keep_larger("grad_rms", _rms(grad))
        self._add("grad_nonfinite_count", _bad(grad))

    def stats(self) -> ActivationStats:
        return ActivationStats(calls=self._calls, **self._largest, **self._sums)

    def _keep_larger(self, name: str, value: Tensor) -> None:
        before = self._largest.get(name)
        self._largest[name] = value if before is None else torch.maximum(before, value)

    def _add(self, name: str, value: Tensor) -> None:
        before = self._sums.get(name)
        self._sums[name] = value if before is None else before + value


def _activity(module: nn.Module, output: Tensor, unit_dim: int | None) -> dict[str, Tensor]:
    found = {"rms": _rms(output)}
    if _dies(module):
        if unit_dim is not None and not -output.ndim <= unit_dim < output.ndim:
            unit_dim = -1  # flattened since
        found["dead_fraction"] = dead_fraction(output, unit_dim)
    ends = _ends(module)
    if ends is not None:
        found["saturated_fraction"] = saturated_fraction(output, *ends)
    return found


def _is_leaf(path: str, module: nn.Module) -> bool:
    if ".parametrizations" in f".{path}":
        return False
    # The projection inside it is not called as a module.
    return isinstance(module, nn.MultiheadAttention) or all(
        name == "parametrizations" for name, _ in module.named_children()
    )


def _dies(module: nn.Module) -> bool:
    return isinstance(module, (nn.ReLU, nn.ReLU6, nn.Hardswish)) or (
        isinstance(module, (nn.RNN, nn.RNNCell)) and module.nonlinearity == "relu"
    )


def _ends(module: nn.Module) -> tuple[float, float, float] | None:
    """The range of a bounded module's output, and how near its ends counts as pinned."""
    if isinstance(module, nn.Sigmoid):
        return 0.0, 1.0, MARGIN
    if isinstance(module, nn.Hardsigmoid):
        return 0.0, 1.0, 0.0
    if isinstance(module, nn.Hardtanh) and not isinstance(module, nn.ReLU6):
        return module.min_val, module.max_val, 0.0
    if isinstance(module, nn.Tanh):
        return -1.0, 1.0, MARGIN
    # A projected hidden state is not bounded.
    if isinstance(module, (nn.RNNBase, RNNCellBase)) and not _dies(module) and not getattr(module, "proj_size", 0):
        return -1.0, 1.0, MARGIN
    return None


def _unit_dim(module: nn.Module) -> int | None:
    """The dimension of the units in what a module puts out, where the module tells."""
    if isinstance(module, _ConvNd):
        return -1 - len(module.kernel_size)
    if isinstance(module, CHANNELS_SECOND):
        return 1
    return -1 if isinstance(module, (*FEATURES_LAST, RNNCellBase)) else None


def _tensors(thing: Any) -> Iterator[Tensor]:
    """The floating tensors of an output, whatever holds them. (A packed sequence is a tuple.)"""
    if isinstance(thing, Tensor):
        has_values = not thing.is_nested or thing.layout == torch.jagged
        if (thing.is_floating_point() or thing.is_complex()) and has_values:
            yield thing
    elif isinstance(thing, (list, tuple)):
        for item in thing:
            yield from _tensors(item)
    elif isinstance(thing, dict):
        for item in thing.values():
            yield from _tensors(item)
    elif is_dataclass(thing) and not isinstance(thing, type):
        for field in fields(thing):
            yield from _tensors(getattr(thing, field.name))


def _local(tensor: Tensor) -> Tensor:
    return dense_values(_dist.local(tensor))


def _rms(tensor: Tensor) -> Tensor:
    """Root of the mean square of the finite elements; float32, or float64 of a float64 tensor."""
    finite = torch.isfinite(tensor)
    wide = torch.promote_types(tensor.dtype, torch.float32)
    norm = torch.linalg.vector_norm(torch.where(finite, tensor, 0), dtype=wide)
    return norm / finite.sum().clamp(min=1).sqrt()


def _bad(tensor: Tensor) -> Tensor:
    return torch.logical_not(torch.isfinite(tensor)).sum()
