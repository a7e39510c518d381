"""Weights whose products pin a bounded nonlinearity, scaled down until it is at work."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from ..measure.forward_trace import ActivationCall, ForwardTrace
from ..measure.undisturbed import undisturbed
from ..rules.units import ENTRIES, SATURATED

ROUNDS = 8
"""Passes at the most: one for each layer that is pinned behind another, or whose parts add up."""

AT_WORK = 1.1
"""Root mean square of what a sigmoid or tanh is given at which it is."""

HELPS = 0.9
"""Part of what arrived before that scaling for the first time must bring it down to."""

UNKNOWN = 10.0
"""Root mean square that is taken where an operation in place has left nothing of what it was given, or an overflow."""


def unpin_(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str
) -> list[tuple[list[Tensor], float]]:
    r"""By what to scale what feeds a pinned sigmoid or tanh: by :math:`r^{-1/n}`, r being the size of what arrives
    there and n how many layers it is made of, until that is 1. The weights stay as they are.

    Exact in one pass where those layers multiply each other; where they add up it takes a few.

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
    place: int | None = None
    before, factor = 0.0, 1.0
    for number in range(ROUNDS if where else 0):
        trace = ForwardTrace(dict(module.named_parameters()), module.buffers())
        with undisturbed(module), torch.no_grad(), trace:
            module(*args, **kwargs)
        calls = trace.activations
        if place is None:
            place = next((place for place, each in enumerate(calls) if _is_pinned(each, trace, where)), None)
        if place is None or place >= len(calls):
            break
        pinned = calls[place]
        size = UNKNOWN if pinned.input_rms is None else read_tensor_scalar(pinned.input_rms) or 0.0
        size = UNKNOWN if math.isinf(size) else size  # squares that overflow, or half precision that did
        if not size > AT_WORK:
            break
        if number == 1 and size > HELPS * before:  # a norm in between takes no notice
            for layer in scaled:
                _scale_(module, layer, 1.0 / factor)
            return []
        layers = {trace.calls[source].layer for source in pinned.sources}
        factor, before = size ** (-1.0 / len(layers)), size
        for layer in layers:
            _scale_(module, layer, factor)
            scaled[layer] = scaled.get(layer, 1.0) * factor
        if pinned.input_rms is None:
            break
    for layer, factor in scaled.items():
        _scale_(module, layer, 1.0 / factor)
    return [(_tensors(module, layer), factor) for layer, factor in scaled.items()]


def _tensors(module: nn.Module, layer: str) -> list[Tensor]:
    return [param for name, param in module.named_parameters() if layer in (name, name.rpartition(".")[0])]


@torch.no_grad()
def _scale_(module: nn.Module, layer: str, factor: float) -> None:
    for param in _tensors(module, layer):
        param.mul_(factor)


def _is_pinned(call: ActivationCall, trace: ForwardTrace, where: str) -> bool:
    if call.saturated is None or call.entries < ENTRIES or not call.sources:
        return False
    sources = [trace.calls[source] for source in call.sources]
    # What a recurrence multiplies again and again is more than the size of one product.
    again = any(sum(each.weights == other.weights for other in trace.calls) > 1 for each in sources)
    named = any(each.layer == where for each in sources)
    return named and not again and (read_tensor_scalar(call.saturated) or 0.0) > SATURATED
