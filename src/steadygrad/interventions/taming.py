"""A step that a model makes again and again, made smaller until what comes out does not run away."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from ..measure.forward_trace import ForwardTrace
from ..measure.undisturbed import undisturbed
from ..preflight.variants import mapped

AGAIN = 32
"""Times that a model is applied to what it has made, where that has the shape of what it was given."""

RUNS_AWAY = 3.0
"""Times the size of what a step that does nothing leaves, from which outputs, and their distance, run away."""

NUDGE = 1e-4
"""Part of its size by which an input is moved, to see how far the outputs come apart."""

HALVINGS = 40
"""Of the weights, at the most."""


def tame_(
    module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str
) -> tuple[list[Tensor], float] | None:
    r"""Find the largest :math:`s = 2^{-k}` at which outputs run away neither from their inputs nor from each other.

    Which weights: those of layers that one pass uses more than once; of a model that maps a state to the next, and is
    called again and again by the script, those of its last layers. The weights stay as they are.

    Args:
        module: an outermost module.
        args: what it is called with.
        kwargs: the same, by name.
        where: the module that the finding names, whose layers are meant; empty for any.

    Returns:
        The tensors and s; None where nothing runs away, or where it is not up to them.
    """
    trace = ForwardTrace(dict(module.named_parameters()), module.buffers())
    given: list[Tensor] = []
    mapped((args, kwargs), given.append)
    with undisturbed(module), torch.no_grad(), trace:
        made = module(*args, **kwargs)
    is_map = (
        len(given) == 1
        and isinstance(made, Tensor)
        and made.is_floating_point()
        and (made.shape, made.dtype) == (given[0].shape, given[0].dtype)
    )
    used = Counter(call.layer for call in trace.calls)
    if is_map:
        before = {source for call in trace.calls for source in call.sources}
        layers = {call.layer for place, call in enumerate(trace.calls) if place not in before}
    else:
        layers = {layer for layer, times in used.items() if times > 1}
    named = {layer for layer in layers if where and (layer == where or layer.startswith(where + "."))}
    chosen = named or layers
    tensors: list[Tensor] = [p for name, p in module.named_parameters() if {name, name.rpartition(".")[0]} & chosen]
    if not tensors:
        return None

    def made_of(entries: Any) -> Any:
        output = module(*entries[0], **entries[1])
        for _ in range(AGAIN if is_map else 0):
            output = module(output)
        return output

    moved = mapped((args, kwargs), _nudged)

    def outputs(entries: Any, scale: float) -> list[Tensor]:
        found: list[Tensor] = []
        with _scaled(tensors, scale), undisturbed(module), torch.no_grad():
            mapped(made_of(entries), found.append)
        return found

    still = outputs((args, kwargs), 0.0)
    size, spread = _size(still), _apart(still, outputs(moved, 0.0))
    if not 0.0 < size < math.inf:
        return None
    for halvings in range(HALVINGS):
        scale = 2.0**-halvings
        made = outputs((args, kwargs), scale)
        # What nothing depends on while a step does nothing may depend on the inputs as much as they differ.
        calm = _apart(made, outputs(moved, scale)) <= RUNS_AWAY * max(spread, NUDGE * size)
        if calm and _apart(made, still) <= (RUNS_AWAY if not halvings else 1.0) * size:
            return (tensors, scale) if halvings else None
    return None


def _nudged(value: Tensor) -> Tensor:
    if not value.is_floating_point() or not value.numel():
        return value
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
    return value + NUDGE * value.square().mean().sqrt() * noise


@contextmanager
def _scaled(tensors: Sequence[Tensor], scale: float) -> Iterator[None]:
    kept = [each.detach().clone() for each in tensors]
    with torch.no_grad():
        for each in tensors:
            each.mul_(scale)
    try:
        yield
    finally:
        with torch.no_grad():
            for each, value in zip(tensors, kept, strict=True):
                each.copy_(value)


def _apart(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    return _size([one - other for one, other in zip(ones, others, strict=True)])


def _size(outputs: Sequence[Tensor]) -> float:
    """The root mean square of the largest; infinite if that is not a number."""
    floating = [each for each in outputs if each.is_floating_point() and each.numel()]
    found = [read_tensor_scalar(each.double().square().mean().sqrt()) for each in floating]
    return max((math.inf if each is None or math.isnan(each) else each for each in found), default=0.0)
