"""Every recurrence of a model: torch's layers, its cells, and what a user has written by hand."""

import math
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from .._readback import read_tensor_scalar, read_vector
from ..evidence import Call, Pass, Recurrence
from ..measure import TimeGradient, TimeGradientProbe, lyapunov_exponents, spectral_radius
from ..measure.undisturbed import undisturbed

SAMPLES = 4
"""Samples of the batch whose exponents are taken."""

EXPONENTS = 2
"""Leading exponents that are taken."""

LONGEST = 200
"""Steps of a sequence that are followed."""

FEWEST = 4
"""Calls on its own results that make a recurrence."""


class RecurrenceProbe:
    """Lies on a model for one forward and backward pass, and measures every recurrence in it afterwards.

    Args:
        model: any module.
    """

    def __init__(self, model: nn.Module) -> None:
        self._model = model
        self._cells = {name: module for name, module in model.named_modules() if _may_recur(module)}
        self._seen: dict[str, list[_Seen]] = {}
        self._handles: list[Any] = []
        self._gradients: TimeGradientProbe | None = None

    def __enter__(self) -> "RecurrenceProbe":
        for name, module in self._cells.items():
            self._handles.append(module.register_forward_hook(_keeper(self._seen, name), with_kwargs=True))
        self._gradients = TimeGradientProbe(self._model)
        return self

    def __exit__(self, *error: object) -> None:
        for handle in self._handles:
            handle.remove()
        if self._gradients is not None:
            self._gradients.close()

    def measure(self, base: Pass) -> tuple[tuple[Recurrence, ...], dict[str, tuple[float, ...]]]:
        """The recurrences, and the gradient that has reached each at every time step.

        Args:
            base: the pass as it was traced: it knows of bare weights that multiply again and again.
        """
        for handle in self._handles:
            handle.remove()
        found: list[Recurrence] = []
        curves: dict[str, tuple[float, ...]] = {}
        if self._gradients is not None:
            curves = {_name(curve): _read(curve) for curve in self._gradients.gradients()}
            self._gradients.close()
        with undisturbed(self._model), torch.no_grad():
            for name, calls in self._seen.items():
                found += _of_module(name, self._cells[name], calls)
        found = [_finite(each, curves.get(each.name, ())) for each in found]
        known = {each.name.partition(" ")[0] for each in found}
        for name, calls in _repeated(base).items():
            if not any(name == other or name.startswith(f"{other}.") for other in known):
                curve = tuple(call.grad_rms or 0.0 for call in calls)
                slope = _slope(curve)
                if slope is not None:
                    curves.setdefault(name, curve)
                    found.append(Recurrence(name, len(calls), math.nan, (slope,)))
        for name, curve in base.scalings.items():
            slope = _slope(curve)
            if slope is not None and name not in curves:
                curves[name] = curve
                found.append(Recurrence(name, len(curve), math.nan, (slope,)))
        return tuple(found), curves


def may_recur(model: nn.Module, base: Pass) -> bool:
    """Whether a model has recurrent layers, or weights that multiply what they have made themselves."""
    scaled = any(len(curve) >= FEWEST for curve in base.scalings.values())
    return scaled or bool(_repeated(base)) or any(isinstance(m, (nn.RNNBase, nn.RNNCellBase)) for m in model.modules())


class _Seen:
    """One call of a module that may be a cell."""

    def __init__(self, args: Any, kwargs: Any, output: Any) -> None:
        self.args, self.kwargs, self.output = args, kwargs, output


def _may_recur(module: nn.Module) -> bool:
    return isinstance(module, (nn.RNNBase, nn.RNNCellBase)) or any(True for _ in module.parameters())


def _keeper(seen: dict[str, list[_Seen]], name: str) -> Any:
    def keep(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
        if len(seen.setdefault(name, [])) < LONGEST:
            seen[name].append(_Seen(args, kwargs, output))

    return keep


def _of_module(name: str, module: nn.Module, calls: list[_Seen]) -> list[Recurrence]:
    if isinstance(module, nn.RNNBase):
        return _of_layers(name, module, calls[0])
    place = _state_place(calls)
    if place is None or len(calls) < FEWEST:
        return []

    def step(state: Any, index: Any) -> Any:
        args = list(calls[index].args)
        width = len(state[0]) if isinstance(state, tuple) else len(state)
        args = [_repeat(value, width) for value in args]
        args[place] = state
        after = module(*args, **{key: _repeat(value, width) for key, value in calls[index].kwargs.items()})
        return _as_state(after, state)

    state = _fewer(calls[1].args[place])
    exponents = lyapunov_exponents(step, list(range(1, len(calls))), state, k=_leading(state))
    radius = _radius(module)
    return [Recurrence(name, len(calls), radius, _numbers(exponents))]


def _of_layers(name: str, module: nn.RNNBase, call: _Seen) -> list[Recurrence]:
    given = (*call.args, *(call.kwargs[key] for key in ("input", "hx")[len(call.args) :] if key in call.kwargs))
    inputs, state = given[0], given[1] if len(given) > 1 else None
    inputs, state, steps = _short(module, inputs, state)
    if steps < FEWEST:
        return []
    found = []
    for layer in range(module.num_layers):
        for direction in range(2 if module.bidirectional else 1):
            suffix = f"l{layer}{'_reverse' * direction}"
            exponents = lyapunov_exponents(
                module, inputs, state, k=min(EXPONENTS, module.hidden_size), layer=layer, direction=direction
            )
            weight = getattr(module, f"weight_hh_{suffix}")
            radius = _largest(spectral_radius(weight.detach())) if weight.shape[0] % weight.shape[1] == 0 else math.nan
            found.append(
                Recurrence(_layered(name, suffix), steps, radius, _numbers(exponents), isinstance(module, nn.RNN))
            )
    return found


def _short(module: nn.RNNBase, inputs: Any, state: Any) -> tuple[Any, Any, int]:
    """The first samples and steps of what a layer was given."""
    if isinstance(inputs, PackedSequence):
        return inputs, state, len(inputs.batch_sizes)
    if inputs.ndim == 2:
        return inputs[:LONGEST].detach(), state, min(LONGEST, len(inputs))
    inputs = inputs[:SAMPLES, :LONGEST] if module.batch_first else inputs[:LONGEST, :SAMPLES]
    if state is not None:
        state = tuple(part[:, :SAMPLES].detach() for part in state) if isinstance(state, tuple) else state[:, :SAMPLES]
    return inputs.detach(), state, inputs.shape[1 if module.batch_first else 0]


def _state_place(calls: Sequence[_Seen]) -> int | None:
    """Which argument of a module is what it returned at the call before."""
    if len(calls) < 2:
        return None
    for place, value in enumerate(calls[1].args):
        before = [id(part) for part in _parts(calls[0].output)]
        parts = _parts(value)
        if parts and all(id(part) in before for part in parts):
            return place
    return None


def _parts(value: Any) -> list[Tensor]:
    if isinstance(value, Tensor):
        return [value]
    return [part for part in value if isinstance(part, Tensor)] if isinstance(value, (tuple, list)) else []


def _as_state(output: Any, like: Any) -> Any:
    """Of a cell's results those that are its state."""
    parts, wanted = _parts(output), _parts(like)
    if isinstance(like, Tensor):
        return next((part for part in parts if part.shape == like.shape), parts[0])
    chosen = parts[-len(wanted) :]
    return tuple(chosen)


def _fewer(state: Any) -> Any:
    return state.detach() if isinstance(state, Tensor) else tuple(part.detach() for part in state)


def _leading(state: Any) -> int:
    return min(EXPONENTS, sum(part[0].numel() for part in _parts(state)))


def _repeat(value: Any, width: int) -> Any:
    """An argument for a batch that holds each sample several times."""
    if isinstance(value, Tensor) and value.ndim and len(value) and width != len(value) and width % len(value) == 0:
        return value.detach().repeat_interleave(width // len(value), 0)
    return value


def _radius(module: nn.Module) -> float:
    weight = getattr(module, "weight_hh", None)
    if not isinstance(weight, Tensor) or weight.shape[0] % weight.shape[1]:
        return math.nan
    return _largest(spectral_radius(weight.detach()))


def _largest(radii: Tensor) -> float:
    value = read_tensor_scalar(radii.max())
    return math.nan if value is None else value


def _numbers(values: Tensor) -> tuple[float, ...]:
    return tuple(float(value) for value in read_vector([(range(len(values)), values.detach())], len(values), math.nan))


def _layered(path: str, layer: str) -> str:
    return f"{path} {layer}".strip()


def _name(curve: TimeGradient) -> str:
    return _layered(curve.path, curve.layer)


def _read(curve: TimeGradient) -> tuple[float, ...]:
    values = curve.hidden if curve.cell is None else torch.maximum(curve.hidden, curve.cell)
    return _numbers(values)


def _repeated(base: Pass) -> dict[str, list[Call]]:
    """Weights that multiply what they have made themselves, several times in a row.

    One call beside them may be there: Keras makes the first step twice, once to see what comes out.
    """
    grouped: dict[str, list[Call]] = {}
    for call in base.calls:
        grouped.setdefault(call.weights[0], []).append(call)
    chains = ((calls, {call.depth: call for call in calls}) for calls in grouped.values())
    return {
        calls[0].layer: list(chain.values())
        for calls, chain in chains
        if len(chain) >= FEWEST and len(calls) - len(chain) <= 1
    }


def _finite(each: Recurrence, curve: Sequence[float]) -> Recurrence:
    """Where a ReLU's zeros have swallowed the followed direction, the gradient that did come back says what is left."""
    slope = _slope(curve)
    if math.isfinite(each.exponents[0]) or slope is None:
        return each
    return replace(each, exponents=(slope,))


def _slope(curve: Sequence[float]) -> float | None:
    """Nats a step by which the gradient grows towards the beginning: the exponent, where only the end is judged."""
    known = [math.log(value) for value in curve if 0 < value < math.inf]
    if len(known) < FEWEST:
        return None
    return median(before - after for before, after in pairwise(known))
