"""How signal and gradient change with depth."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..evidence.chain import Layer, gain_per_level, gradient, inner, signal
from ..findings import GRADIENT_WITHIN, SIGNAL_WITHIN, Finding, Measurement
from .head import excess, loudest

VANISHES, EXPLODES = GRADIENT_WITHIN

FADES = 10 * VANISHES
"""The same where a model is seen to have learned nothing: six sigmoid layers pass on less than that."""

SIGNAL = 1e3
"""Growth of the signal that leaves no room: the next step changes outputs by thousands."""


def depth(evidence: Evidence, *, vanishes: float = VANISHES) -> Iterator[Finding | Measurement]:
    """`init-gain` if gradients explode towards the first layers, `vanishing-depth` if nothing of them arrives.

    Args:
        evidence: of one pass.
        vanishes: the part of the last layers' gradient from which nothing arrives.
    """
    chain = evidence.chain
    signals, grads = signal(chain), gradient(chain)
    last = chain[-1].name if chain else ""
    for words, gain in (
        (say("signal gain per layer"), gain_per_level(inner(signals, without_first=True))),
        (say("gradient gain per layer"), _backward(inner(grads, without_first=False))),
    ):
        if gain is not None:
            nats = max(1, len(signals) - 1) * (math.log(gain) if gain else -math.inf)
            yield Measurement(
                words,
                say("{count} layers", count=len(chain)),
                gain,
                say("end to end within 1/30 and 30"),
                say("what grows or shrinks by a factor a layer does so exponentially with depth"),
                not math.log(SIGNAL_WITHIN[0]) < nats < math.log(SIGNAL_WITHIN[1]),
            )
    if not evidence.base.finite:
        yield from _overflown(evidence, signals)
        return
    twice = evidence.base.second_order
    ratio = arriving(evidence)
    if ratio is None or (twice and ratio > vanishes):  # what has grown may have grown in either of the two passes
        return
    yield Measurement(
        say("gradient of the first layers"),
        say("against {layer}", layer=last),
        ratio,
        say("{low:g} to {high:g}", low=vanishes, high=EXPLODES),
        say("early layers are to learn with the late ones"),
        not vanishes <= ratio <= EXPLODES,
    )
    # Where norms follow, the size of what a layer puts out is free, and the gradient with respect to it.
    free = any(layer.normalised for layer in chain)
    grown = min(ratio, end_to_end(gradient(chain, weighed=True)) or 0.0) if free else ratio
    if grown > EXPLODES and not _by_time(evidence) and not excess(evidence.base):
        place = _steepest(chain) or loudest(chain)
        yield Finding(
            "init-gain",
            min(0.95, 0.7 + math.log(grown / EXPLODES) / 20),
            place.name if place else last,
            say("the gradient grows by {ratio:.3g} on its way from the last layers to the first ones", ratio=ratio),
            {"grad_gain": ratio, "grad_gain_per_layer": _backward(grads), "layers": len(chain)},
            ("auto-initialisation", "lsuv", "fixup", "clip-global-norm"),
        )
    if 0 < ratio < vanishes and not _idle(evidence):
        yield Finding(
            "vanishing-depth",
            min(0.95, 0.7 + math.log(vanishes / ratio) / 40),
            chain[0].name,
            say("of the gradient {ratio:.2g} arrives at the first layers: they do not learn", ratio=ratio),
            {"grad_gain": ratio, "grad_gain_per_layer": _backward(grads), "layers": len(chain)},
            ("auto-initialisation", "residual-connections", "normalisation"),
        )


def _of_weights(evidence: Evidence) -> dict[int, float]:
    """The gradient of each level's weights against their size: of a loss that holds a gradient itself, that of what
    layers put out is of two passes, and that of weights is their sum."""
    base, found = evidence.base, dict[int, float]()
    weights = {call.layer: call.weights for call in base.calls}
    for layer in evidence.chain:
        for name in weights[layer.name]:
            if name in base.grad_norms and base.weight_norms.get(name):
                size = base.grad_norms[name] / base.weight_norms[name]
                found[layer.level] = max(found.get(layer.level, 0.0), size)
    return found


def fading(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """The same of a model that is seen to have learned nothing of its samples: less than usual is too little there."""
    yield from depth(evidence, vanishes=FADES)


def arriving(evidence: Evidence) -> float | None:
    """The part of the last layers' gradient that arrives at the first ones."""
    return end_to_end(_of_weights(evidence) if evidence.base.second_order else gradient(evidence.chain))


def end_to_end(grads: dict[int, float]) -> float | None:
    """The gradient of the first third of the levels against that of the last third."""
    levels = sorted(grads)
    if len(levels) < 3:
        return None
    third = max(1, len(levels) // 3)
    early = max(grads[level] for level in levels[:third])
    late = max(grads[level] for level in levels[-third:])
    return early / late if late > 0 else None


def _backward(grads: dict[int, float]) -> float | None:
    gain = gain_per_level(grads)
    return None if not gain else 1 / gain


def _by_time(evidence: Evidence) -> bool:
    """Whether it is a recurrence that makes gradients grow."""
    return any(each.exponents and each.exponents[0] * each.steps > math.log(EXPLODES) for each in evidence.recurrences)


def _idle(evidence: Evidence) -> bool:
    """Whether units that do nothing are the reason."""
    return any(each.dead > 0.9 or each.saturated > 0.6 for each in evidence.base.activity if each.entries > 7)


def _steepest(chain: list[Layer]) -> Layer | None:
    """The first layer that amplifies by more than its share."""
    for layer in chain:
        if layer.input_rms and layer.output_rms / layer.input_rms > 3.0:
            return layer
    return None


def _overflown(evidence: Evidence, signals: dict[int, float]) -> Iterator[Finding]:
    """A pass that overflows because layer after layer amplifies."""
    origin = evidence.origin
    if any(each.nonfinite for each in (*evidence.inputs, *evidence.targets)):
        return
    start = min(signals, default=0)
    known = [value for value in signals.values() if math.isfinite(value)]
    grown = max(known, default=0.0) / max(signals.get(start, 1.0), 1e-30)
    if grown > SIGNAL or (origin is not None and origin.largest_input > 1e4 and grown > 30):
        place = _steepest(evidence.chain) or loudest(evidence.chain)
        yield Finding(
            "init-gain",
            0.9,
            place.name if place else "",
            say("the signal grows by {grown:.3g} before {op} overflows", grown=grown, op=origin.op)
            if origin
            else say("the signal grows by {grown:.3g} before it overflows", grown=grown),
            {"gain": grown, "op": origin.op if origin else "", "phase": origin.phase if origin else ""},
            ("auto-initialisation", "lsuv"),
        )
