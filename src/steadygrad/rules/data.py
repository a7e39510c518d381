"""The scale of the inputs: what standardising them would change."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence, Pass, TensorProfile
from ..findings import Finding, Measurement
from .learning_rate import bearable
from .outliers import of_few

LARGEST = 10.0
"""Root mean square of an input beyond which its scale is looked at: raw pixels, prices, pressures are far beyond."""

SMALLEST = 0.03
"""The same downwards."""

UNEVEN = 30.0
"""Ratio of the largest feature to the usual one: one step serves the largest feature and none of the others."""

SLOWED = 50.0
"""Factor by which the scale of the inputs slows a parameter's learning down, as that of a bias that they drown."""

BLIND = 0.05
"""Share of the output that differs between samples below which the model does not see them."""

EFFECT = math.log(10.0)
"""Nats by which standardising must calm gradients, loss or units before scale is called a fault."""

MOST = 20.0
"""Nats of what there was none of."""


def data(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`input-scale` if standardising the inputs makes the same weights behave, else only the numbers; an
    `outlier-batch` where a few samples stand apart."""
    worst, most = None, 0.0
    for each in evidence.inputs:
        beyond = each.rms > LARGEST or 0 < each.rms < SMALLEST or each.feature_ratio > UNEVEN
        yield Measurement(
            say("input rms"),
            each.name,
            each.rms,
            say(
                "{low:g} to {high:g}, features within {ratio:g} times each other",
                low=SMALLEST,
                high=LARGEST,
                ratio=UNEVEN,
            ),
            say("initial weights are made for inputs of about unit size"),
            beyond,
        )
        deviation = max(abs(math.log(max(each.rms, 1e-300))), math.log(max(1.0, each.feature_ratio))) if beyond else 0.0
        if deviation > most:
            worst, most = each, deviation
    if worst is None:
        return
    if evidence.standard_inputs is None:
        yield from (of_few(each, worst) for each in _by_the_first_layer(evidence, worst))
        return
    nats, words = effect(evidence.base, evidence.standard_inputs)
    if nats < EFFECT:
        return
    what = say("{input} has root mean square {rms:.3g}", input=worst.name, rms=worst.rms)
    if worst.feature_ratio > UNEVEN:
        what += say(", one feature {ratio:.3g} times the usual one", ratio=worst.feature_ratio)
    found = Finding(
        "input-scale",
        min(0.98, 0.8 + nats / 50),
        worst.name,
        say("{what}: with standardised inputs {effect}", what=what, effect=words),
        {
            "rms": worst.rms,
            "feature_ratio": worst.feature_ratio,
            "grad_norm": evidence.base.grad_norm,
            "grad_norm_standardised": evidence.standard_inputs.grad_norm,
            "loss": evidence.base.loss,
            "loss_standardised": evidence.standard_inputs.loss,
            **bearable(evidence),
        },
        ("standardise-inputs", "input-batchnorm"),
    )
    yield of_few(found, worst)


def _by_the_first_layer(evidence: Evidence, worst: TensorProfile) -> Iterator[Finding]:
    """Where the pass cannot be made again: what the first layers put out, if nothing normalises it."""
    first = [layer for layer in evidence.chain if layer.level == 1 and layer.kind != "embedding"]
    behind = [layer for layer in evidence.chain if layer.level == 2]
    loud = max(first, key=lambda layer: layer.output_rms, default=None)
    if loud is None or loud.output_rms <= LARGEST or any(layer.normalised for layer in (*first, *behind)):
        return
    yield Finding(
        "input-scale",
        0.75,
        worst.name,
        say(
            "{input} has root mean square {rms:.3g}, and {layer} hands on {out:.3g}",
            input=worst.name,
            rms=worst.rms,
            layer=loud.name,
            out=loud.output_rms,
        ),
        {
            "rms": worst.rms,
            "feature_ratio": worst.feature_ratio,
            "first_output_rms": loud.output_rms,
            **bearable(evidence),
        },
        ("standardise-inputs", "input-batchnorm"),
    )


def effect(before: Pass, after: Pass) -> tuple[float, str]:
    """How much calmer a pass is with one thing changed, in nats of what changed most, and in words."""
    if after.finite and not before.finite:
        return MOST, say("the gradient is finite (norm {norm:.3g})", norm=after.grad_norm)
    if not after.finite:
        return 0.0, say("nothing is gained")
    best, words = math.log(max(before.grad_norm, 1e-300) / max(after.grad_norm, 1e-300)), ""
    words = say(
        "the gradient norm is {after:.3g} in place of {before:.3g}", after=after.grad_norm, before=before.grad_norm
    )
    pinned = idle_share(before) - idle_share(after)
    if pinned > 0.5:
        best, words = (
            max(best, 5 * pinned),
            say(
                "{after:.0%} of the units are idle in place of {before:.0%}",
                after=idle_share(after),
                before=idle_share(before),
            ),
        )
    slower, name = _slowed(before, after)
    if slower > SLOWED:
        best = max(best, MOST if math.isinf(slower) else math.log(slower))
        words = (
            say("{parameter} gets a gradient, and none now", parameter=name)
            if math.isinf(slower)
            else say("{parameter} gets {ratio:.3g} times the gradient that it has now", parameter=name, ratio=slower)
        )
    if before.output_spread < BLIND and after.output_spread > 10 * before.output_spread:
        best = max(best, math.log(after.output_spread / max(before.output_spread, 1e-12)))
        words = say(
            "outputs differ between samples by {after:.2g} of their size, not {before:.2g}",
            after=after.output_spread,
            before=before.output_spread,
        )
    return best, words


def _slowed(before: Pass, after: Pass) -> tuple[float, str]:
    """The largest factor by which a parameter's gradient grows, among those that count for something then."""
    floor = 1e-3 * after.grad_norm
    ratios = [
        (norm / before.grad_norms[name] if before.grad_norms[name] > 0 else math.inf, name)
        for name, norm in after.grad_norms.items()
        if norm > floor and name in before.grad_norms
    ]
    return max(ratios, default=(0.0, ""))


def idle_share(one: Pass) -> float:
    """The largest share of dead units or pinned entries in any layer."""
    return max((max(each.dead, each.saturated) for each in one.activity if each.entries > 7), default=0.0)
