"""One forward pass, seen at every multiplication by a weight, whoever makes it: a module or a line of the user's."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.utils.weak import WeakTensorKeyDictionary

from .._readback import any_nonfinite
from .activations import MARGIN, dead_fraction, saturated_fraction
from .focus import Focus, attention_focus, logit_focus
from .overrides import MASKING, SOFTMAXES, OpeningMode

MULTIPLICATIONS = {
    **dict.fromkeys(("linear", "bilinear", "matmul", "mm", "bmm", "mv", "__matmul__", "__rmatmul__"), "linear"),
    **dict.fromkeys(("addmm", "addmv", "addbmm", "baddbmm", "addmm_", "einsum", "tensordot"), "linear"),
    **dict.fromkeys(("conv1d", "conv2d", "conv3d"), "convolution"),
    **dict.fromkeys(("conv_transpose1d", "conv_transpose2d", "conv_transpose3d"), "convolution"),
    **dict.fromkeys(("embedding", "embedding_bag"), "embedding"),
    **dict.fromkeys(("lstm", "gru", "rnn_tanh", "rnn_relu"), "recurrent"),
    **dict.fromkeys(("lstm_cell", "gru_cell", "rnn_tanh_cell", "rnn_relu_cell"), "recurrent"),
}
"""torch's functions that multiply by a weight, and the kind of layer that each makes."""

SCALINGS = frozenset({"mul", "mul_", "multiply", "__mul__", "__rmul__", "__imul__"})
"""Functions that multiply element by element."""

DIVISIONS = frozenset({"div", "div_", "divide", "true_divide", "__truediv__", "__itruediv__"})

RECTIFIERS = frozenset({"relu", "relu_", "relu6", "hardswish"})
BOUNDED = {
    **dict.fromkeys(("sigmoid", "sigmoid_", "hardsigmoid", "hardsigmoid_"), (0.0, 1.0)),
    **dict.fromkeys(("tanh", "tanh_", "softsign"), (-1.0, 1.0)),
}
TANH_STATES = frozenset({"rnn_tanh", "rnn_tanh_cell", "gru", "gru_cell"})
DROPOUTS = frozenset({F.dropout, F.dropout1d, F.dropout2d, F.dropout3d, F.alpha_dropout, F.feature_alpha_dropout})
WEIGHTINGS = frozenset({"matmul", "__matmul__", "bmm", "einsum", "mul", "__mul__", "__rmul__", "baddbmm"})
"""Functions by which shares weigh something."""

NO_SHARES = frozenset({"log", "log2", "log10", "log1p", "gather", "neg", "__neg__", "sum", "mean", "prod"})
"""Functions of shares that are none any more: the likelihood of an answer, an entropy."""

ENTRY_BY_ENTRY = frozenset(
    {"softmax", "log_softmax", "log", "log2", "log10", "exp", "clamp", "clip", "sub", "__sub__", "add", "__add__"}
)
"""Functions between logits, shares and their logarithms."""

NORMALISATIONS = frozenset({"layer_norm", "batch_norm", "group_norm", "instance_norm", "rms_norm", "normalize"})
CLASSIFICATION = frozenset({"cross_entropy", "nll_loss", "binary_cross_entropy", "binary_cross_entropy_with_logits"})
UNSEEN = frozenset({"__set__", "__delete__", "size", "dim", "stride", "numel", "detach", "backward"})


@dataclass
class WeightCall:
    """One multiplication by a weight: 0-d tensors on its device, unread.

    `depth` counts the multiplications on the longest path to it, itself included; `sources` are the places in the trace
    of those whose results reach it with no other between (several behind a skip connection). `grad_rms` is None until
    the backward has come by, and stays None where it does not.
    """

    layer: str
    weights: tuple[str, ...]
    kind: str
    depth: int
    sources: frozenset[int]
    input_rms: Tensor | None
    output_rms: Tensor
    output_absmax: Tensor
    shape: tuple[int, ...]
    dtype: torch.dtype
    normalised: bool
    function: str
    grad_rms: Tensor | None = None
    activation: str | None = None


@dataclass
class ActivationCall:
    """A rectifier's or a bounded nonlinearity's output.

    `source` is the place of the multiplication before it, of `sources` the last, `entries` how many values each unit
    has in the batch, `input_rms` the root mean square of what a bounded one was given, where that is still there.
    """

    function: str
    source: int | None
    units: int
    entries: int
    dead: Tensor | None = None
    saturated: Tensor | None = None
    input_rms: Tensor | None = None
    sources: frozenset[int] = frozenset()


@dataclass
class Scaling:
    """An element-wise multiplication by a weight, of what that weight has multiplied `times - 1` times before."""

    weight: str
    times: int
    grad_rms: Tensor | None = None


@dataclass
class LossCall:
    """A call of one of torch's classification losses; `mean_loss` is the mean, without weights of classes."""

    function: str
    classes: int
    logits_rms: Tensor
    mean_loss: Tensor


@dataclass(frozen=True)
class _Past:
    """What a tensor comes from."""

    depth: int = 0
    sources: frozenset[int] = frozenset()
    normalised: bool = False
    scaled: Mapping[str, int] = field(default_factory=dict)

    def with_(self, other: "_Past") -> "_Past":
        scaled = {
            name: max(self.scaled.get(name, 0), other.scaled.get(name, 0)) for name in {*self.scaled, *other.scaled}
        }
        sources = self.sources | other.sources
        return _Past(max(self.depth, other.depth), sources, self.normalised and other.normalised, scaled)


@dataclass
class ForwardTrace(OpeningMode):
    """Follows tensors from weight to weight through one forward pass, by torch's own functions.

    It sees what hooks on modules do not: weights that are bare parameters, cells written by hand, activations that are
    function calls. What is left out of a pass that is looked at is dropout: it is noise here. Attention logits are
    measured at `F.scaled_dot_product_attention` and at every softmax whose shares weigh something.

    Args:
        parameters: the model's parameters by name.
        buffers: its buffers: what is computed of parameters and buffers alone still counts as a weight.
        keeps_looks: whether what each attention's weights are computed of (logits, or queries and keys) is kept.

    Example:
        >>> model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.ReLU(), torch.nn.Linear(8, 2))
        >>> with ForwardTrace(dict(model.named_parameters())) as trace:
        ...     model(torch.ones(3, 4)).sum().backward()
        >>> [(call.layer, call.depth) for call in trace.calls]
        [('0', 1), ('2', 2)]
    """

    parameters: Mapping[str, Tensor]
    buffers: Iterable[Tensor] = ()
    keeps_looks: bool = False
    calls: list[WeightCall] = field(default_factory=list)
    activations: list[ActivationCall] = field(default_factory=list)
    attentions: list[tuple[str, Focus]] = field(default_factory=list)
    attention_sources: list[frozenset[int]] = field(default_factory=list)
    attention_looks: list[tuple[Tensor, ...]] = field(default_factory=list)
    losses: list[LossCall] = field(default_factory=list)
    scalings: list[Scaling] = field(default_factory=list)
    factors: list[float] = field(default_factory=list)
    overflows: list[tuple[str, str]] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self._names: dict[int, str] = {}
        self._constants: set[int] = set()
        self.add(self.parameters, self.buffers)
        self._derived: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._pasts: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._shares: WeakTensorKeyDictionary = WeakTensorKeyDictionary()
        self._kin: WeakTensorKeyDictionary = WeakTensorKeyDictionary()

    def add(self, parameters: Mapping[str, Tensor], buffers: Iterable[Tensor]) -> None:
        """Follow the weights of another model too."""
        self.parameters = {**self.parameters, **parameters}
        self._names.update((id(param), name) for name, param in parameters.items())
        self._constants.update(id(buffer) for buffer in buffers)

    def went_back(self) -> bool:
        """Whether gradients have come by already: before the backward they are those of a gradient within the loss."""
        return any(call.grad_rms is not None for call in self.calls)

    def look(self, func: Any, args: Any, kwargs: dict[str, Any]) -> Any:
        """Call a function of torch and note what it did."""
        if func in DROPOUTS:
            return args[0] if args else kwargs["input"]
        name = getattr(func, "__name__", "")
        if func is F.scaled_dot_product_attention:
            args, kwargs = _without_dropout(args, kwargs)
        output = func(*args, **kwargs)
        if name not in UNSEEN and not torch.compiler.is_compiling():
            try:
                with torch.no_grad():
                    self._see(func, name, args, kwargs, output)
            except Exception as error:
                self.errors.append(error)
        return output

    def _see(self, func: Any, name: str, args: Any, kwargs: Any, output: Any) -> None:
        given = list(tensors_of((args, kwargs)))
        made = [args[0]] if name == "__setitem__" else list(tensors_of(output))
        if not made or not given:
            return
        weights = [owned for tensor in given for owned in self._owned(tensor)]
        others = [tensor for tensor in given if not self._is_constant(tensor)]
        if name in MASKING or name == "__get__":  # to read an attribute (a gradient, too) computes nothing
            pass
        elif any(tensor.dtype is torch.float16 for tensor in made) and any_nonfinite(made) and not any_nonfinite(given):
            self.overflows.append((name, self._place(self._past(others)) if others else ""))
        if not others:
            for tensor in made:
                if id(tensor) not in self._names:
                    self._derived[tensor] = tuple(dict.fromkeys(weights))
            return
        past = self._past(others)
        self._see_factor(name, args)
        if weights and name in MULTIPLICATIONS:
            past = self._multiplication(MULTIPLICATIONS[name], name, weights, others, past, made)
        elif weights and name in SCALINGS:
            past = self._scaling(weights[0], past, made[0])
        elif name in NORMALISATIONS:
            past = replace(past, normalised=True)
        elif name in RECTIFIERS or name in BOUNDED:
            self._activation(name, past, others[0], made[0])
        if name in CLASSIFICATION:
            self._loss(func, name, args, kwargs)
        elif func is F.scaled_dot_product_attention:
            self._attention(past, args, kwargs)
        elif func in SOFTMAXES:
            self._softmax(past, args, kwargs, made[0])
        self._see_kinship(name, given, made)
        self._see_weighting(name, given, made)
        for tensor in made:
            if id(tensor) not in self._names:
                self._pasts[tensor] = past

    def _owned(self, tensor: Tensor) -> tuple[str, ...]:
        name = self._names.get(id(tensor))
        return (self._derived.get(tensor) or ()) if name is None else (name,)

    def _is_constant(self, tensor: Tensor) -> bool:
        return id(tensor) in self._names or id(tensor) in self._constants or tensor in self._derived

    def _past(self, tensors: list[Tensor]) -> _Past:
        floating = [tensor for tensor in tensors if tensor.is_floating_point() or tensor.is_complex()]
        pasts = [self._pasts[tensor] for tensor in floating or tensors if tensor in self._pasts]
        if not pasts:
            return _Past()
        past = pasts[0]
        for other in pasts[1:]:
            past = past.with_(other)
        return past

    def _multiplication(
        self,
        kind: str,
        function: str,
        weights: list[str],
        others: list[Tensor],
        past: _Past,
        made: list[Tensor],
    ) -> _Past:
        matrices = tuple(dict.fromkeys(name for name in weights if self.parameters[name].ndim > 1)) or tuple(weights)
        source = next((tensor for tensor in others if tensor.is_floating_point()), None)
        result = made[0]
        call = WeightCall(
            layer=layer_of(matrices[0]),
            weights=matrices,
            kind=kind,
            depth=past.depth + 1,
            sources=past.sources,
            input_rms=None if source is None else rms(source),
            output_rms=rms(result),
            output_absmax=_absmax(result),
            shape=tuple(result.shape),
            dtype=result.dtype,
            normalised=past.normalised,
            function=function,
        )
        self.calls.append(call)
        if result.requires_grad:
            result.register_hook(_keep_grad(call))
        if function in TANH_STATES:
            self._keep_saturated("tanh", len(self.calls) - 1, result)
        return _Past(call.depth, frozenset({len(self.calls) - 1}), scaled=past.scaled)

    def _scaling(self, weight: str, past: _Past, output: Tensor) -> _Past:
        scaling = Scaling(weight, past.scaled.get(weight, 0) + 1)
        self.scalings.append(scaling)
        if output.requires_grad:
            output.register_hook(_keep_grad(scaling))
        return replace(past, scaled={**past.scaled, weight: scaling.times})

    def _activation(self, name: str, past: _Past, given: Tensor, output: Tensor) -> None:
        source = max(past.sources, default=None)
        before = None if source is None else self.calls[source]
        if before is not None and before.activation is None:
            before.activation = name.rstrip("_")
        if name in BOUNDED:
            self._keep_saturated(name, source, output, None if given is output else rms(given), past.sources)
            return
        dim = 1 if before is not None and before.kind == "convolution" and output.ndim > 2 else -1
        units = output.shape[dim] if output.ndim else 1
        entries = output.numel() // max(1, units)
        self.activations.append(ActivationCall(name, source, units, entries, dead=dead_fraction(output, dim)))

    def _keep_saturated(
        self,
        name: str,
        source: int | None,
        output: Tensor,
        input_rms: Tensor | None = None,
        sources: frozenset[int] = frozenset(),
    ) -> None:
        units = output.shape[-1] if output.ndim > 1 else 1  # of one dimension are samples
        saturated = saturated_fraction(output, *BOUNDED[name], MARGIN)
        self.activations.append(
            ActivationCall(
                name,
                source,
                units,
                output.numel() // max(1, units),
                saturated=saturated,
                input_rms=input_rms,
                sources=sources,
            )
        )

    def _attention(self, past: _Past, args: Any, kwargs: Any) -> None:
        given = dict(zip(("query", "key", "value", "attn_mask", "dropout_p", "is_causal"), args, strict=False)) | kwargs
        query, key = given["query"], given["key"]
        if query.is_nested or key.is_nested or query.ndim < 3:
            return
        mask, causal = given.get("attn_mask"), given.get("is_causal", False)
        focus = attention_focus(query, key, mask, causal, given.get("scale"))
        self._attends((self._place(past), focus), past.sources, (query, key))

    def _attends(self, found: tuple[str, Focus], sources: frozenset[int], looks: tuple[Tensor, ...]) -> None:
        self.attentions.append(found)
        self.attention_sources.append(sources)
        if self.keeps_looks:
            self.attention_looks.append(looks)

    def _softmax(self, past: _Past, args: Any, kwargs: Any, made: Tensor) -> None:
        """Shares of two dimensions may be a classifier's; they are attention if something is weighed by them."""
        logits = args[0] if args else kwargs["input"]
        dim = args[1] if len(args) > 1 else kwargs.get("dim")
        if logits.is_nested or logits.ndim < 2 or dim is None or logits.shape[dim] < 2:
            return
        looks = (logits,) if self.keeps_looks else ()
        self._shares[made] = (self._place(past), logit_focus(logits.movedim(dim, -1))), past.sources, looks

    def _see_weighting(self, name: str, given: list[Tensor], made: list[Tensor]) -> None:
        shares = next((tensor for tensor in given if tensor in self._shares), None)
        if shares is None:
            return
        found = self._shares[shares]
        if name not in WEIGHTINGS:
            for tensor in made:
                if name not in NO_SHARES:
                    self._shares[tensor] = found
            return
        # By their own logarithms they are weighed for an entropy.
        own = self._kin.get(shares)
        weighed = any(
            tensor is not shares and not self._is_constant(tensor) and (own is None or self._kin.get(tensor) is not own)
            for tensor in given
        )
        if found is not None and weighed and found[0] not in self.attentions:
            self._attends(*found)

    def _see_factor(self, name: str, args: Any) -> None:
        """Keep the plain numbers that anything is multiplied by."""
        for number in (each for each in args if type(each) in (int, float)):
            if name in SCALINGS:
                self.factors.append(float(number))
            elif name in DIVISIONS and number:
                self.factors.append(1.0 / number)

    def _see_kinship(self, name: str, given: list[Tensor], made: list[Tensor]) -> None:
        """Keep what is made entry by entry of the same logits, under a token that stands for these."""
        if name in ENTRY_BY_ENTRY and given[0].shape == made[0].shape:
            self._kin[made[0]] = self._kin.setdefault(given[0], object())

    def _place(self, past: _Past) -> str:
        return self.calls[max(past.sources)].layer if past.sources else ""

    def _loss(self, func: Any, name: str, args: Any, kwargs: Any) -> None:
        given = dict(zip(("input", "target", "weight", "size_average", "ignore_index"), args, strict=False)) | kwargs
        logits = given["input"]
        options = {key: given[key] for key in ("ignore_index",) if key in given and not name.startswith("binary")}
        classes = 2 if name.startswith("binary") else logits.shape[1 if logits.ndim > 1 else 0]
        mean = func(logits, given["target"], reduction="mean", **options)
        self.losses.append(LossCall(name, int(classes), rms(logits), mean))


def layer_of(weight: str) -> str:
    """The layer that a weight belongs to, as the user knows it.

    >>> [layer_of(name) for name in ("net.0.weight", "rnn.weight_hh_l0", "attention.in_proj_weight", "W_hh")]
    ['net.0', 'rnn', 'attention', 'W_hh']
    """
    path, _, last = weight.replace("_orig_mod.", "").rpartition(".")
    if ".parametrizations." in f".{path}.":
        return f".{path}".partition(".parametrizations")[0][1:] or weight
    return path if path and last.startswith(("weight", "in_proj")) else weight


def rms(tensor: Tensor) -> Tensor:
    """Root of the mean square, in float64 where the device has it: a 0-d tensor."""
    if tensor.numel() == 0:
        return torch.zeros((), device=tensor.device)
    wide = torch.float32 if tensor.device.type == "mps" else torch.float64
    norm = torch.linalg.vector_norm(tensor.detach(), dtype=wide if tensor.is_floating_point() else None)
    return norm / tensor.numel() ** 0.5


def _absmax(tensor: Tensor) -> Tensor:
    return tensor.detach().abs().max() if tensor.numel() else torch.zeros((), device=tensor.device)


def _keep_grad(call: WeightCall | Scaling) -> Any:
    def keep(grad: Tensor | None) -> None:
        if grad is not None:
            call.grad_rms = rms(grad)

    return keep


def _without_dropout(args: Any, kwargs: Any) -> tuple[Any, Any]:
    if len(args) > 4:
        return (*args[:4], 0.0, *args[5:]), kwargs
    return args, {**kwargs, "dropout_p": 0.0}


def tensors_of(thing: Any, levels: int = 3) -> Iterator[Tensor]:
    """The tensors among a function's arguments or results."""
    if isinstance(thing, Tensor):
        yield thing
    elif levels and isinstance(thing, (list, tuple)):
        for item in thing:
            yield from tensors_of(item, levels - 1)
    elif levels and isinstance(thing, dict):
        for item in thing.values():
            yield from tensors_of(item, levels - 1)
