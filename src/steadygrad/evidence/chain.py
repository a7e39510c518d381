"""The layers of a pass in the order of depth, and how signal and gradient change along them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from statistics import median

from ..findings import LayerProfile
from .passes import Call, Pass


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer, its calls put together: the largest of each number. `level` is its place among the depths."""

    name: str
    kind: str
    level: int
    calls: int
    input_rms: float | None
    output_rms: float
    output_absmax: float
    grad_rms: float | None
    grad_norm: float | None
    fan_in: int
    activation: str | None
    normalised: bool
    repeated: bool


def layers(one: Pass, fan_in: dict[str, int]) -> list[Layer]:
    """Every layer by its first call. One that is called again on its own results (a cell) stands once."""
    grouped: dict[str, list[Call]] = {}
    for call in one.calls:
        grouped.setdefault(call.layer, []).append(call)
    depths = sorted({calls[0].depth for calls in grouped.values()})
    found = []
    for name, calls in grouped.items():
        found.append(
            Layer(
                name,
                calls[0].kind,
                depths.index(calls[0].depth) + 1,
                len(calls),
                _largest([call.input_rms for call in calls]),
                _largest([call.output_rms for call in calls]) or 0.0,
                _largest([call.output_absmax for call in calls]) or 0.0,
                _largest([call.grad_rms for call in calls]),
                _largest([call.grad_norm for call in calls]),
                fan_in.get(calls[0].weights[0], 1),
                calls[0].activation,
                calls[0].normalised,
                len({call.depth for call in calls}) > 1,
            )
        )
    return sorted(found, key=lambda layer: layer.level)


def signal(chain: Sequence[Layer]) -> dict[int, float]:
    """Root mean square of what goes into each level, and at the end of what comes out."""
    found: dict[int, float] = {}
    for layer in chain:
        if layer.input_rms is not None:
            found[layer.level] = max(found.get(layer.level, 0.0), layer.input_rms)
    if chain:
        last = chain[-1]
        found[last.level + 1] = max(layer.output_rms for layer in chain if layer.level == last.level)
    return found


def gradient(chain: Sequence[Layer], *, weighed: bool = False) -> dict[int, float]:
    """Norm of the gradient with respect to what each level puts out.

    `weighed` by the size of that: where a norm follows, small weights make a large gradient that means nothing.
    """
    found: dict[int, float] = {}
    for layer in chain:
        if layer.grad_norm is not None:
            size = layer.grad_norm * (layer.output_rms if weighed else 1.0)
            found[layer.level] = max(found.get(layer.level, 0.0), size)
    return found


def inner(values: dict[int, float], *, without_first: bool) -> dict[int, float]:
    """The levels without the head, whose scale is its own, and of the signal without the data."""
    kept = sorted(values)[1 if without_first else 0 : -1]
    return {level: values[level] for level in kept}


def gain_per_level(values: dict[int, float]) -> float | None:
    """The factor by which values grow from one level to the next: the median of the slopes between all pairs.

    >>> round(gain_per_level({1: 1.0, 2: 2.0, 3: 4.0, 4: 8.0, 5: 900.0}), 3)
    2.0
    """
    points = [(level, math.log(value)) for level, value in values.items() if 0 < value < math.inf]
    if len(points) < 2:
        return None
    slopes = [(b - a) / (j - i) for (i, a), (j, b) in combinations(points, 2)]
    return math.exp(min(700.0, median(slopes)))


def profiles(one: Pass, chain: Sequence[Layer], weight_rms: dict[str, float]) -> tuple[LayerProfile, ...]:
    """The layers as a result shows them, each against the level before it."""
    signals, grads = signal(chain), gradient(chain)
    found = []
    for layer in chain:
        before = signals.get(layer.level)
        after = signals.get(layer.level + 1)
        behind = max((level for level in grads if level < layer.level), default=None)
        grad_gain = None
        if behind is not None and layer.grad_norm:
            grad_gain = grads[behind] / layer.grad_norm
        found.append(
            LayerProfile(
                name=layer.name,
                kind=layer.kind,
                depth=layer.level,
                calls=layer.calls,
                weight_rms=weight_rms.get(layer.name, math.nan),
                rule_rms=rule_rms(layer),
                input_rms=layer.input_rms,
                output_rms=layer.output_rms,
                output_absmax=layer.output_absmax,
                grad_rms=layer.grad_rms,
                gain=None if not before or after is None else after / before,
                grad_gain=grad_gain,
                activation=layer.activation,
                normalised=layer.normalised,
            )
        )
    return tuple(found)


def rule_rms(layer: Layer) -> float:
    """The weights' root mean square that keeps the signal's size: 1/sqrt(fan-in), of ReLUs sqrt(2/fan-in)."""
    if layer.kind == "embedding":
        return 1.0
    gain = math.sqrt(2.0) if layer.activation in ("relu", "relu6", "hardswish") else 1.0
    return gain / math.sqrt(max(1, layer.fan_in))


def _largest(values: Sequence[float | None]) -> float | None:
    """NaN counts as the largest."""
    known = [value for value in values if value is not None]
    return max(known, key=lambda value: math.inf if math.isnan(value) else value) if known else None
