"""The figures of a check: signal and gradient by depth, and the gradient by time step of each recurrent layer."""

import math
from collections.abc import Mapping, Sequence

from .._i18n import say
from .._view.events import number
from ..findings import GRADIENT_WITHIN, SIGNAL_WITHIN, CheckResult, Finding, LayerProfile
from .figures import Panel
from .profile import TOLD, Profile, name_places, place_axis, profile
from .theme import BLUE, NAN_COLOR, ORANGE

COLORS = (BLUE, ORANGE, "#2f9e77", "#9160b8", "#b0763b", "#6c7a89")
BESIDE = 6
"""Recurrent layers whose legend stands beside the figure; that of more stands above it."""

DASHES = ("solid", "dashed", "dotted")


def check_panels(result: CheckResult) -> list[Panel]:
    """The figures of a result, those for which it has numbers."""
    found = _depth(result.layers, result.findings) if result.layers else []
    if any(result.time_gradients.values()):
        found.append(
            _time({name: curve for name, curve in result.time_gradients.items() if len(curve)}, result.findings)
        )
    return found


def named_layers(layers: Sequence[LayerProfile], findings: Sequence[Finding]) -> dict[int, str]:
    """Which layers a finding names, and the causes: a layer, a parameter of it, or a recurrence in it."""
    found: dict[int, list[str]] = {}
    for finding in findings:
        for place, layer in enumerate(layers):
            if _is_at(finding.where, layer.name):
                causes = found.setdefault(place, [])
                if finding.cause not in causes:
                    causes.append(finding.cause)
    return {place: ", ".join(causes) for place, causes in found.items()}


def _is_at(where: str, layer: str) -> bool:
    return where == layer or (bool(layer) and where.startswith((f"{layer}.", f"{layer} ")))


def _depth(layers: Sequence[LayerProfile], findings: Sequence[Finding]) -> list[Panel]:
    axis = place_axis(len(layers), "layers")
    flags = named_layers(layers, findings)
    names = [layer.name or layer.kind for layer in layers]
    told = {say("layer"): names, say("kind"): [layer.kind for layer in layers]}
    if flags:
        told[say("finding")] = [flags.get(place, "–") for place in range(len(layers))]
    signals = _around(_input(layers), SIGNAL_WITHIN)
    gradients = _around(_last_gradient(layers), GRADIENT_WITHIN)
    signal = profile(
        axis,
        [Profile(say("output rms"), BLUE, [layer.output_rms for layer in layers])],
        {**told, say("gain"): [number(layer.gain) for layer in layers]},
        height=200,
        band=signals,
        flags=flags,
        words=True,
    )
    gradient = profile(
        axis,
        [Profile(say("gradient rms"), ORANGE, [layer.grad_rms for layer in layers])],
        {**told, say("gain on the way back"): [number(layer.grad_gain) for layer in layers]},
        height=200,
        band=gradients,
        flags=flags,
    )
    name_places((signal, gradient), names)
    output = [say("root mean square of each layer's output, by depth")]
    slope = [say("root mean square of the loss's gradient with respect to each output")]
    if signals:
        output.append(say("grey: 1/30 to 30 times the input"))
    if gradients:
        slope.append(say("grey: 0.0001 to 100 times the last layers'"))
    marked = ((NAN_COLOR, say("has a finding")),) if flags else ()
    return [
        Panel("signal", say("Signal"), "; ".join(output), signal, swatches=marked),
        Panel("gradient", say("Gradient"), "; ".join(slope), gradient),
    ]


def _input(layers: Sequence[LayerProfile]) -> float | None:
    first = layers[0]
    return first.output_rms if first.input_rms is None else first.input_rms


def _last_gradient(layers: Sequence[LayerProfile]) -> float | None:
    """The largest gradient of the last third of the layers, which the limit is about."""
    known = [layer.grad_rms for layer in layers if layer.grad_rms is not None and math.isfinite(layer.grad_rms)]
    return max(known[-max(1, len(known) // 3) :], default=None) if len(known) > 2 else None


def _around(size: float | None, within: tuple[float, float]) -> tuple[float, float] | None:
    if size is None or not math.isfinite(size) or not size > 0:
        return None
    return size * within[0], size * within[1]


def _time(curves: Mapping[str, Sequence[float]], findings: Sequence[Finding]) -> Panel:
    """All end at the right, where the loss is nearest, however many steps each has."""
    longest = max(map(len, curves.values()))
    causes = {finding.where: finding.cause for finding in findings}
    drawn = [
        Profile(
            f"{name} ({causes[name]})" if name in causes else name or say("recurrence"),
            COLORS[index % len(COLORS)],
            [None] * (longest - len(curve)) + list(curve),
            DASHES[index // len(COLORS) % len(DASHES)],
        )
        for index, (name, curve) in enumerate(curves.items())
    ]
    axis = place_axis(longest, "time")
    steps = range(1, longest + 1)
    told = {say("time step"): [say("{step:,} of {count:,}", step=step, count=longest) for step in steps]}
    note = say("root mean square of the loss's gradient with respect to each state; the last step is on the right")
    if len(drawn) > TOLD:
        note += "; " + say("the tooltip has the first {count} layers", count=TOLD)
    plot = profile(axis, drawn, told, height=240)
    swatches = tuple((one.color, one.label) for one in drawn)
    return Panel("time", say("Gradient over time"), note, plot, wide=len(drawn) > BESIDE, swatches=swatches)
