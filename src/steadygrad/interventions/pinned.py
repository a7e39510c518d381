"""Weights whose products pin a bounded nonlinearity, scaled down until it is at work."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from ..measure.forward_trace import ActivationCall, ForwardTrace
from ..measure.undisturbed import undisturbed
from ..rules.attention import SHARP
from ..rules.units import ENTRIES, SATURATED

ROUNDS = 8
"""Passes at the most: one for each layer that is pinned behind another, or whose parts add up."""

AT_WORK = 1.1
"""Root mean square of what a sigmoid or tanh is given at which it is."""

SOFT = 8.0
"""Difference of two logits of one query at which attention is sharp enough to look, and soft enough to learn."""

HELPS = 0.9
"""Part of what arrived before that scaling for the first time must bring it down to."""

UNKNOWN = 10.0
"""Root mean square that is taken where an operation in place has left nothing of what it was given, or an overflow."""


def unpin_(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str
) -> list[tuple[list[Tensor], float]]:
    r"""By what to scale what feeds a pinned nonlinearity: by :math:`r^{-1/n}`, r being how much too large is what
    arrives there and n how many layers it is made of. The weights stay as they are.

    Exact in one pass where those layers multiply each other; where they add up it takes a few. Sigmoids and tanhs are
    pinned, and so is the softmax of an attention that looks at one place only.

    Args:
        module: an outermost module.
        args: what it is called with.
        kwargs: the same, by name.
        where: the layer before the nonlinearity, as the finding names it: others are left alone, and so are recurrent
            weights.

    Returns:
        The tensors of each layer that is to be scaled, and by how much.
    """
    scaled: dict[str, float] = {}
    chosen: tuple[str, int] | None = None
    before, factor = 0.0, 1.0
    for number in range(ROUNDS if where else 0):
        trace = ForwardTrace(dict(module.named_parameters()), module.buffers())
        with undisturbed(module), torch.no_grad(), trace:
            module(*args, **kwargs)
        pinned = _pinned(trace, where) if chosen is None else _at(trace, chosen)
        if pinned is None:
            break
        chosen, size, sources = pinned
        size = UNKNOWN if math.isinf(size) else size  # squares that overflow, or half precision that did
        if not size > AT_WORK:
            break
        if number == 1 and size > HELPS * before:  # a norm in between takes no notice
            for layer in scaled:
                _scale_(module, layer, 1.0 / factor)
            return []
        layers = {trace.calls[source].layer for source in sources}
        factor, before = size ** (-1.0 / len(layers)), size
        for layer in layers:
            _scale_(module, layer, factor)
            scaled[layer] = scaled.get(layer, 1.0) * factor
        if chosen[0] == "activation" and trace.activations[chosen[1]].input_rms is None:
            break
    for layer, factor in scaled.items():
        _scale_(module, layer, 1.0 / factor)
    return [(_tensors(module, layer), factor) for layer, factor in scaled.items()]


Pinned = tuple[tuple[str, int], float, frozenset[int]]
"""Which nonlinearity of a pass, how many times too large its input is, and the multiplications that it is made of."""


def _pinned(trace: ForwardTrace, where: str) -> Pinned | None:
    """The first that is pinned, of those before which lies the named layer."""
    for place, call in enumerate(trace.activations):
        if _is_pinned(call, trace, where):
            return _at(trace, ("activation", place))
    for place, sources in enumerate(trace.attention_sources):
        focus = trace.attentions[place][1]
        entropy = read_tensor_scalar(focus.relative_entropy)
        if entropy is not None and entropy < SHARP and _is_named(trace, sources, where):
            return _at(trace, ("attention", place))
    return None


def _at(trace: ForwardTrace, chosen: tuple[str, int]) -> Pinned | None:
    kind, place = chosen
    if kind == "attention" and place < len(trace.attention_sources):
        spread = read_tensor_scalar(trace.attentions[place][1].spread) or 0.0
        return chosen, spread / SOFT, trace.attention_sources[place]
    if kind == "activation" and place < len(trace.activations):
        call = trace.activations[place]
        size = UNKNOWN if call.input_rms is None else read_tensor_scalar(call.input_rms) or 0.0
        return chosen, size, call.sources
    return None


def _tensors(module: nn.Module, layer: str) -> list[Tensor]:
    return [param for name, param in module.named_parameters() if layer in (name, name.rpartition(".")[0])]


@torch.no_grad()
def _scale_(module: nn.Module, layer: str, factor: float) -> None:
    for param in _tensors(module, layer):
        param.mul_(factor)


def _is_pinned(call: ActivationCall, trace: ForwardTrace, where: str) -> bool:
    if call.saturated is None or call.entries < ENTRIES or not call.sources:
        return False
    return _is_named(trace, call.sources, where) and (read_tensor_scalar(call.saturated) or 0.0) > SATURATED


def _is_named(trace: ForwardTrace, places: frozenset[int], where: str) -> bool:
    sources = [trace.calls[source] for source in places]
    # What a recurrence multiplies again and again is more than the size of one product.
    again = any(sum(each.weights == other.weights for other in trace.calls) > 1 for each in sources)
    return any(each.layer == where for each in sources) and not again
