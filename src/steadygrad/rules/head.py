"""The first loss against that of a model which knows nothing."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence, Pass
from ..evidence.chain import Layer
from ..findings import Finding, Measurement

LEAST_EXCESS = 4.0
"""By how much a loss of classes is above that of a guess, at the least, for it to be far."""

LOUD = 5.0
"""Outputs this many times larger than targets and than 1 are noise that has to be unlearned first."""

ALIKE = 0.6
"""Share of the largest gain from which a layer amplifies as much."""


def head(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`init-gain` if the first outputs are so large that the loss is far above that of a uniform guess."""
    base = evidence.base
    for each in base.losses:
        expected = math.log(each.classes) if each.classes > 1 else 0.0
        yield Measurement(
            say("initial loss"),
            each.function,
            each.mean_loss,
            say("about log {classes} = {expected:.3g}", classes=each.classes, expected=expected),
            say("before it has learned anything a model should guess, not be sure"),
            excess(base) > 0,
        )
        break
    if not base.finite:
        return  # there is no first loss; the rule of depth says what overflows
    over = excess(base)
    noise = loudness(evidence)
    if noise is not None:
        yield Measurement(
            say("output rms"),
            "output",
            base.output_rms or 0.0,
            say("at most {limit:g} times the target's", limit=LOUD),
            "",
            noise > LOUD,
        )
    if not over and not (noise or 0.0) > LOUD:
        return
    calmed = evidence.standard_inputs is not None and not excess(evidence.standard_inputs) > over / 4
    if calmed and not loud_after(evidence):
        return  # it is the inputs
    place = loudest(evidence.chain)
    if place is None:
        return
    words = (
        say(
            "the loss is {loss:.3g} where a guess has {guess:.3g}: logits have root mean square {rms:.3g}; {layer} "
            "amplifies most",
            loss=base.losses[0].mean_loss,
            guess=math.log(base.losses[0].classes),
            rms=base.losses[0].logits_rms,
            layer=place.name,
        )
        if over
        else say(
            "outputs have root mean square {rms:.3g}, far above the targets'; {layer} amplifies most",
            rms=base.output_rms,
            layer=place.name,
        )
    )
    yield Finding(
        "init-gain",
        0.9,
        place.name,
        words,
        {
            "loss": base.loss,
            "output_rms": base.output_rms,
            "gain": place.output_rms / place.input_rms if place.input_rms else None,
        },
        ("auto-initialisation", "lsuv", "scale-down-the-head"),
    )


def excess(one: Pass) -> float:
    """By how much the first loss is above a guess, if that is far."""
    over = 0.0
    for each in one.losses:
        if each.classes > 1:
            expected = math.log(each.classes)
            above = each.mean_loss - expected if math.isfinite(each.mean_loss) else math.inf
            if above > max(LEAST_EXCESS, 1.5 * expected):
                over = max(over, above)
    return over


def loudness(evidence: Evidence, one: Pass | None = None) -> float | None:
    """The outputs' size against the targets', where both are of one kind."""
    one = one or evidence.base
    if one.losses or len(evidence.targets) != 1 or one.output_rms is None:
        return None
    target = evidence.targets[0]
    return one.output_rms / max(1.0, target.rms, abs(target.mean))


def loud_after(evidence: Evidence) -> bool:
    """Whether outputs are still loud with standardised inputs."""
    noise = loudness(evidence, evidence.standard_inputs)
    return noise is not None and noise > LOUD


def loudest(chain: list[Layer]) -> Layer | None:
    """The first of the layers that amplify most: where all do alike, that is where it begins."""

    def gain(layer: Layer) -> float:
        if not layer.input_rms:
            return layer.output_rms / 3 if layer.kind == "embedding" else 0.0
        value = layer.output_rms / layer.input_rms
        return math.inf if math.isnan(value) else value

    most = max(map(gain, chain), default=0.0)
    return next((layer for layer in chain if gain(layer) >= ALIKE * most), None)
