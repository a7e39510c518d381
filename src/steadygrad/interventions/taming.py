"""A step that a model makes again and again, made smaller until what comes out does not run away."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from .._readback import read_tensor_scalar
from .._tap import InertHook, quiet
from ..measure.forward_trace import ForwardTrace
from ..measure.undisturbed import undisturbed
from ..preflight.variants import mapped
from .initial import name_within
from .part import Part
from .tried import Tried

AGAIN = 32
"""Times at the most that a model is applied to what it has made."""

RUNS_AWAY = 3.0
"""Times the size of what a step that does nothing leaves, from which outputs, and their distance, run away."""

NUDGE = 1e-4
"""Part of its size by which an input is moved, to see how far the outputs come apart."""

OVER_TIME = frozenset({"lstm", "gru", "rnn_tanh", "rnn_relu"})
"""Functions that carry a state through a sequence: what has its shape when it comes out is no state."""

CONSTANT = 2.0
"""A plain number in a model from which it is one that makes its steps too long."""

FAR = 1e3
"""Times the size that outputs have without a recurrence, from which it carries them away."""

ELEMENTWISE = 16
"""Kinds of parameters, at the most, that are tried one after the other."""

HALVINGS = 40
"""Of the weights, at the most."""

_Move = tuple[float, float]
"""By what weights are multiplied, and what is taken away from them."""

SCALED_OR_LESS: tuple[tuple[_Move, list[_Move]], ...] = (
    ((0.0, 0.0), [(2.0**-halvings, 0.0) for halvings in range(HALVINGS)]),
    ((1.0, 64.0), [(1.0, 0.0), *((1.0, 2.0**power) for power in range(6))]),
)
"""What makes a step do nothing, and what is tried, beginning with the weights as they are: multiples, or less."""


class Tamed(NamedTuple):
    """What makes a step, by what it is to be scaled, or how much is to be taken away from it, and whether a number that
    anything is multiplied by is large."""

    part: Part
    scale: float
    constant: bool
    shift: float = 0.0


@quiet()
def tame_(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], where: str, steps: int = 0) -> Tamed | None:
    r"""Find the largest :math:`s = 2^{-k}` at which outputs run away neither from their inputs nor from each other.

    Where no s does, as of the logarithm of a rate, the least that is to be taken away.

    Which weights: those of layers that one pass uses more than once, each time on what it has made of them before; of a
    model that maps a state to the next, and is known to be called again and again by the script, those of its last
    layers. Where those are not to blame, a parameter that no product is made with: the rates of a diagonal state space.
    The weights stay as they are.

    Args:
        module: an outermost module.
        args: what it is called with.
        kwargs: the same, by name.
        where: what the finding names, whose layers are meant; empty for any.
        steps: over how many time steps a state is known to be carried on, by the module or by the script; 0 where
            nobody has said that one is. A shape that comes out as it went in says nothing: images do too.

    Returns:
        The layers' tensors, s, and whether a constant of the script may be to blame; None where nothing runs away, or
        where it is not up to them.
    """
    trace = ForwardTrace(dict(module.named_parameters()), module.buffers())
    given: list[Tensor] = []
    mapped((args, kwargs), given.append)
    with undisturbed(module), torch.no_grad(), trace:
        made = module(*args, **kwargs)
    layers, is_map = _meant(trace, steps > 0 and _is_state(given, made))
    path = where.partition(" ")[0]  # it may name a direction too
    path = name_within(module, path) or path
    named = {call.layer for call in trace.calls if _is_named(call.layer, path)}
    # Of a map the last layers are meant whichever of its layers is named.
    chosen = layers & (named | _added_to(trace, named)) or (layers if is_map and named else set[str]())
    params = dict(module.named_parameters())
    tensors = [param for name, param in params.items() if {name, name.rpartition(".")[0]} & chosen]
    able = is_map or steps or _is_carried(trace)
    groups = [((tensors, min(steps, AGAIN) if is_map else 0), False)] if tensors and able else []
    groups += [((alike, 0), True) for alike in (_elementwise(trace, params, path) if steps else ())]

    def made_of(entries: Any, times: int) -> Any:
        output = module(*entries[0], **entries[1])
        for _ in range(times):
            again = mapped(entries, lambda _, output=output: output)
            output = module(*again[0], **again[1])
        return output

    moved = mapped((args, kwargs), _nudged)

    def outputs(group: tuple[Sequence[Tensor], int], entries: Any, scale: float, shift: float = 0.0) -> list[Tensor]:
        found: list[Tensor] = []
        with Tried() as tried, undisturbed(module), torch.no_grad():
            for each in group[0]:
                tried.set(each, scale * each.detach() - shift)
            mapped(made_of(entries, group[1]), found.append)
        return found

    def nothing_of(group: tuple[Sequence[Tensor], int], still: _Move) -> tuple[list[Tensor], float]:
        """What comes out where a step does nothing, and its size."""
        made = outputs(group, (args, kwargs), *still)
        return made, _size(made)

    def first_calm(group: tuple[Sequence[Tensor], int], still: _Move, moves: Sequence[_Move]) -> int | None:
        """The first of several moves at which outputs run away no more than where a step does nothing."""
        nothing, size = nothing_of(group, still)
        spread = _apart(nothing, outputs(group, moved, *still))
        for place, move in enumerate(moves if 0.0 < size < math.inf else ()):
            made = outputs(group, (args, kwargs), *move)
            # What nothing depends on while a step does nothing may depend on the inputs as much as they differ.
            calm = _apart(made, outputs(group, moved, *move)) <= RUNS_AWAY * max(spread, NUDGE * size)
            if calm and _apart(made, nothing) <= (1.0 if place else RUNS_AWAY) * size:
                return place
        return None

    constant = any(abs(each) > CONSTANT for each in trace.factors)
    for group, is_elementwise in groups:
        kinds = SCALED_OR_LESS if is_elementwise else SCALED_OR_LESS[:1]
        # The logarithm of a rate is one at zero, and a rate that is negative is none: the smaller one is a step that
        # does nothing.
        if any(first_calm(group, still, moves[:1]) == 0 for still, moves in kinds):
            return None
        still, moves = min(kinds, key=lambda kind, group=group: nothing_of(group, kind[0])[1])
        place = first_calm(group, still, moves)
        if place is not None:
            scale, shift = moves[place]
            return Tamed(Part(group[0]), scale, constant, shift)
    return None


@quiet()
def runs_away(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], weights: Sequence[Tensor]) -> bool:
    """Whether what a model puts out is out of all proportion to what it puts out without some weights.

    Example:
        >>> cell = nn.Linear(2, 2)
        >>> runs_away(cell, (torch.ones(1, 2),), {}, [cell.weight])
        False
    """

    def size(scale: float) -> float:
        found: list[Tensor] = []
        with Tried() as tried, undisturbed(module), torch.no_grad():
            tried.scale(Part(weights), scale)
            mapped(module(*args, **kwargs), found.append)
        return _size(found)

    return not size(1.0) <= FAR * max(size(0.0), 1e-30)


class Fed:
    """Counts how often a script gives a module what the module has made, from its first call on.

    Args:
        module: an outermost module, before its first call.
        args: what it is called with.
        kwargs: the same, by name.
    """

    def __init__(self, module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module, self.args, self.kwargs = module, args, kwargs
        self.times = 0
        self._made: Tensor | None = None
        self._handle = module.register_forward_hook(InertHook(self._keep))

    def called(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """It is about to be called again."""
        given: list[Tensor] = []
        mapped((args, kwargs), given.append)
        made = self._made
        self.times += made is not None and any(
            each.data_ptr() == made.data_ptr() and each.shape == made.shape for each in given
        )

    def remove(self) -> None:
        """Count no more, and hold nothing that was made."""
        self._handle.remove()
        self._made = None

    def _keep(self, module: nn.Module, args: Any, output: Any) -> None:
        # What is held has its place in memory to itself: what lies there is this, and nothing newer.
        self._made = output.detach() if isinstance(output, Tensor) and output.numel() else None


def _is_state(given: list[Tensor], made: Any) -> bool:
    """Whether what comes out may be what goes in next."""
    return (
        len(given) == 1
        and isinstance(made, Tensor)
        and made.is_floating_point()
        and (made.shape, made.dtype) == (given[0].shape, given[0].dtype)
    )


def _meant(trace: ForwardTrace, is_state: bool) -> tuple[set[str], bool]:
    """The layers that make a step, and whether the whole model is that step."""
    used = Counter(call.layer for call in trace.calls)
    again = {layer for layer, times in used.items() if times > 1}
    if not is_state or _is_carried(trace) or any(call.function in OVER_TIME for call in trace.calls):
        return again, False
    before = {source for call in trace.calls for source in call.sources}
    return {call.layer for place, call in enumerate(trace.calls) if place not in before}, True


def _elementwise(trace: ForwardTrace, params: Mapping[str, Tensor], path: str) -> list[list[Tensor]]:
    """Parameters that no product was made with, those of the same name in each layer together; the named ones first."""
    multiplied = {name for call in trace.calls for name in (call.layer, *call.weights)}
    alike: dict[str, list[str]] = {}
    for name in params:
        if not {name, name.rpartition(".")[0]} & multiplied and params[name].is_floating_point():
            alike.setdefault(name.rpartition(".")[2], []).append(name)
    found = sorted(alike.values(), key=lambda names: not any(_is_named(name, path) for name in names))
    return [[params[name] for name in names] for names in found[:ELEMENTWISE]]


def _added_to(trace: ForwardTrace, layers: set[str]) -> set[str]:
    """The layers whose results meet those of others before the next multiplication: together they are one step."""
    met = ({trace.calls[source].layer for source in call.sources} for call in trace.calls)
    return set[str]().union(*(each for each in met if each & layers))


def _is_carried(trace: ForwardTrace) -> bool:
    """Whether a layer is given what it has made: sequences may be gone through by layers that carry nothing."""
    before: list[frozenset[tuple[str, str]]] = []
    for call in trace.calls:
        came = frozenset[tuple[str, str]]().union(*(before[source] for source in call.sources))
        mine = call.layer, call.kind  # a table of embeddings may make the logits too
        if mine in came:
            return True
        before.append(came | {mine})
    return False


def _is_named(layer: str, path: str) -> bool:
    """Whether a path, or any if there is none, is that of a layer, of what it is a part of, or of a weight of it."""
    return not path or f"{layer}.".startswith(f"{path}.") or path.startswith(f"{layer}.")


def _nudged(value: Tensor) -> Tensor:
    if not value.is_floating_point() or not value.numel():
        return value
    noise = torch.randn(value.shape, generator=torch.Generator().manual_seed(0)).to(value)
    return value + NUDGE * value.square().mean().sqrt() * noise


def _apart(ones: Sequence[Tensor], others: Sequence[Tensor]) -> float:
    return _size([one - other for one, other in zip(ones, others, strict=True)])


def _size(outputs: Sequence[Tensor]) -> float:
    """The root mean square of the largest; infinite if that is not a number."""
    floating = [each for each in outputs if each.is_floating_point() and each.numel()]
    found = [read_tensor_scalar(each.double().square().mean().sqrt()) for each in floating]
    return max((math.inf if each is None or math.isnan(each) else each for each in found), default=0.0)
