"""Weights whose products pin a bounded nonlinearity, scaled down until it is at work."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from .._tap import quiet
from ..measure.forward_trace import ActivationCall, ForwardTrace
from ..measure.undisturbed import undisturbed
from ..rules.attention import SHARP
from ..rules.units import ENTRIES, SATURATED
from .initial import name_within
from .natural import AMPLIFIES, gain_of
from .part import Part
from .tried import Tried

ROUNDS = 8
"""Passes at the most: one for each layer that is pinned behind another, or whose parts add up."""

AT_WORK = 1.1
"""Root mean square of what a sigmoid or tanh is given at which it is."""

SOFT = 3.0
"""Difference of two logits of one query at which attention is sharp enough to look, and soft enough to learn."""

SMALLEST = 0.1
"""Size of a layer's output below which it says nothing of what a constant behind it was meant to be."""

TEMPERATURES = 64
"""Numbers in a parameter, at the most, that may be a temperature: one for each head."""

HALVES = tuple(2.0**-power for power in range(1, 31))
"""By what one is multiplied, until attention is soft."""

LARGE = 3.0
"""Root mean square of a bias from which it pins a sigmoid by itself."""

UNKNOWN = 10.0
"""Root mean square that is taken where an operation in place has left nothing of what it was given, or an overflow."""

Place = tuple[str, int]
"""A kind of nonlinearity, and which of that kind in a pass."""

Pinned = tuple[Place, float, frozenset[int]]
"""Which nonlinearity of a pass, how many times too large its input is, and the multiplications that it is made of."""


@quiet()
def unpin_(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str) -> list[tuple[Part, float]]:
    r"""By what to scale what feeds a pinned nonlinearity: by :math:`r^{-1/n}`, r being how much too large is what
    arrives there and n how many layers it is made of. The weights stay as they are.

    Weights that were far from a natural size go no higher than that, see `_to_natural`.

    Exact in one pass where those layers multiply each other; where they add up, or one matrix makes several of the
    factors, it takes a few. Sigmoids and tanhs are pinned, and so is the softmax of an attention that looks at one
    place only: there what makes values beside queries and keys stays as it is. Recurrent weights are left alone.

    Args:
        module: an outermost module.
        args: what it is called with.
        kwargs: the same, by name.
        where: the layer before a nonlinearity, as the finding names it. If that is not pinned, none is unpinned; if
            it is, all are, one after the other: what has pinned one has most often pinned others.

    Returns:
        The parts of layers that are to be scaled, and by how much.
    """

    def trace(*, keeps_looks: bool = False) -> ForwardTrace:
        seen = ForwardTrace(dict(module.named_parameters()), module.buffers(), keeps_looks)
        with undisturbed(module), torch.set_grad_enabled(keeps_looks), seen:
            module(*args, **kwargs)
        return seen

    scaled: list[tuple[Part, float]] = []
    where = name_within(module, where)
    first = trace() if where else None
    pinned = [] if first is None else _all_pinned(first)
    if first is None or not any(_is_named(first, sources, where) for _, _, sources in pinned):
        return []
    with Tried() as tried:
        for chosen, _, _ in pinned:
            scaled += _unpin(module, trace, chosen, tried)
    return scaled


def _unpin(
    module: nn.Module, trace: Callable[..., ForwardTrace], chosen: Place, tried: Tried
) -> list[tuple[Part, float]]:
    """Scale the layers before one nonlinearity; returns by how much."""
    seen = trace(keeps_looks=chosen[0] == "attention")
    pinned = _at(seen, chosen)
    if pinned is None:
        return []
    parts = [_part(module, seen, layer, chosen) for layer in {seen.calls[source].layer for source in pinned[2]}]
    biases = [each for part in parts for each in part.tensors if _is_large_bias(each)]
    if chosen[0] == "activation" and biases and _is_enough(trace, chosen, biases, tried):
        return [(Part([each]), 0.0) for each in biases]
    target = _natural_size(seen, pinned[2]) if chosen[0] == "activation" else 1.0
    scale, factor, sizes = 1.0, 1.0, list[float]()
    for _ in range(ROUNDS):
        size = 0.0 if pinned is None else pinned[1] / target
        sizes.append(UNKNOWN if math.isinf(size) else size)  # squares that overflow, or half precision that did
        if len(sizes) == 2 and sizes[1] > math.sqrt(factor) * sizes[0]:  # a norm in between takes no notice
            for part in parts:
                tried.scale(part, 1.0 / factor)
            return _tempered(module, trace, chosen, tried)
        factor = _next_factor(sizes, factor, len(parts))
        if factor == 1.0:
            break
        for part in parts:
            tried.scale(part, factor)
        scale *= factor
        if chosen[0] == "activation" and seen.activations[chosen[1]].input_rms is None:
            break
        pinned = _at(trace(), chosen)
    if scale == 1.0:
        return []
    return [(part, _to_natural(part, scale, tried) if chosen[0] == "activation" else scale) for part in parts]


def _tempered(
    module: nn.Module, trace: Callable[..., ForwardTrace], chosen: Place, tried: Tried
) -> list[tuple[Part, float]]:
    """What multiplies logits of normalised queries and keys: a temperature that is learned, or its logarithm.

    The first of the parameters of a few numbers with which attention is as soft as it is to be.
    """
    if chosen[0] != "attention":
        return []
    for param in (each for each in module.parameters() if each.numel() <= TEMPERATURES and each.is_floating_point()):
        whole = param.detach().clone()

        def size(scale: float, param: Tensor = param, whole: Tensor = whole) -> float:
            tried.set(param, scale * whole)
            pinned = _at(trace(), chosen)
            return math.inf if pinned is None or math.isnan(pinned[1]) else pinned[1]

        if size(HALVES[-1]) > AT_WORK:  # of most of them next to nothing changes nothing
            tried.set(param, whole)
            continue
        low = next(scale for scale in HALVES if size(scale) <= AT_WORK)
        high = 2.0 * low
        for _ in range(ROUNDS // 2):
            middle = 0.5 * (low + high)
            low, high = (middle, high) if size(middle) <= AT_WORK else (low, middle)
        tried.set(param, low * whole)
        return [(Part([param]), low)]
    return []


def _to_natural(part: Part, scale: float, tried: Tried) -> float:
    """By what to scale weights that are at fault themselves: a layer that amplifies what it gets, if only to where a
    tanh is at work, makes a net of them chaotic (Poole et al., 2016)."""
    gain = gain_of(part.tensors)  # as scaled by now
    if not 1.0 < gain < math.inf or gain / scale <= AMPLIFIES:
        return scale
    tried.scale(part, 1.0 / gain)
    return scale / gain


def _is_large_bias(tensor: Tensor) -> bool:
    if tensor.ndim != 1:
        return False
    return (read_tensor_scalar(tensor.detach().float().square().mean().sqrt()) or 0.0) > LARGE


def _is_enough(trace: Callable[..., ForwardTrace], chosen: Place, biases: Sequence[Tensor], tried: Tried) -> bool:
    """Whether a nonlinearity is at work without these biases; if so they stay zero while others are looked at."""
    before = [each.detach().clone() for each in biases]
    tried.scale(Part(biases), 0.0)
    pinned = _at(trace(), chosen)
    if pinned is not None and pinned[1] <= AT_WORK:
        return True
    for each, value in zip(biases, before, strict=True):
        tried.set(each, value)
    return False


def _next_factor(sizes: Sequence[float], last: float, layers: int) -> float:
    """By what to scale each layer next, as the last factor's effect tells; 1 where that is enough."""
    size = sizes[-1]
    if size > AT_WORK and layers:
        return size ** (-1.0 / layers)
    if len(sizes) == 2 and 0.0 < size < 1.0 / AT_WORK:
        return size ** (math.log(last) / math.log(sizes[0] / size))
    return 1.0


def _natural_size(trace: ForwardTrace, sources: frozenset[int]) -> float:
    """What would arrive if nothing but one layer had made it, at the most 1: the rest is a constant of the script."""
    made = [trace.calls[source] for source in sources]
    size = read_tensor_scalar(made[0].output_rms) if len(made) == 1 else None
    return 1.0 if size is None or not SMALLEST < size < 1.0 else size


def _all_pinned(trace: ForwardTrace) -> list[Pinned]:
    """Those that are pinned, in their order; attention after the others."""
    places = [("activation", place) for place, call in enumerate(trace.activations) if _is_pinned(call, trace)]
    for place, sources in enumerate(trace.attention_sources):
        entropy = read_tensor_scalar(trace.attentions[place][1].relative_entropy)
        if entropy is not None and entropy < SHARP and _is_used_once(trace, sources):
            places.append(("attention", place))
    return [found for found in (_at(trace, place) for place in places) if found is not None]


def _at(trace: ForwardTrace, chosen: Place) -> Pinned | None:
    kind, place = chosen
    if kind == "attention" and place < len(trace.attention_sources):
        spread = read_tensor_scalar(trace.attentions[place][1].spread) or 0.0
        return chosen, spread / SOFT, trace.attention_sources[place]
    if kind == "activation" and place < len(trace.activations):
        call = trace.activations[place]
        size = UNKNOWN if call.input_rms is None else read_tensor_scalar(call.input_rms) or 0.0
        return chosen, size, call.sources
    return None


def _part(module: nn.Module, trace: ForwardTrace, layer: str, chosen: Place) -> Part:
    """What of a layer an attention's queries and keys are made of, else all of it."""
    part = Part(_tensors(module, layer))
    call = next(call for call in trace.calls if call.layer == layer)
    axis = {"linear": 0, "addmm": 1, "matmul": 1, "__matmul__": 1}.get(call.function)
    weight = max(part.tensors, key=lambda each: each.ndim)
    if chosen[0] != "attention" or axis is None or weight.ndim != 2 or not weight.requires_grad:
        return part
    looks = [each for each in trace.attention_looks[chosen[1]] if each.requires_grad]
    if not looks:  # the model computes them without a graph
        return part
    looks = [each.masked_fill(~each.isfinite(), 0.0).square().sum() for each in looks]
    (grad,) = torch.autograd.grad(torch.stack(looks).sum(), [weight], retain_graph=True, allow_unused=True)
    outputs = None if grad is None else grad.ne(0).any(1 - axis)
    if outputs is None or not read_tensor_scalar(outputs.any()):
        return part
    return Part(part.tensors, None if read_tensor_scalar(outputs.all()) else outputs, axis)


def _tensors(module: nn.Module, layer: str) -> list[Tensor]:
    return [param for name, param in module.named_parameters() if layer in (name, name.rpartition(".")[0])]


def _is_pinned(call: ActivationCall, trace: ForwardTrace) -> bool:
    if call.saturated is None or call.entries < ENTRIES or not call.sources:
        return False
    return _is_used_once(trace, call.sources) and (read_tensor_scalar(call.saturated) or 0.0) > SATURATED


def _is_used_once(trace: ForwardTrace, places: frozenset[int]) -> bool:
    """What a recurrence multiplies again and again is more than the size of one product."""
    sources = [trace.calls[source] for source in places]
    return not any(sum(each.weights == other.weights for other in trace.calls) > 1 for each in sources)


def _is_named(trace: ForwardTrace, places: frozenset[int], where: str) -> bool:
    return any(trace.calls[source].layer == where for source in places)
