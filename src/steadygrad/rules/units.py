"""Units that do nothing from the start: ReLUs that never fire, sigmoids and tanhs pinned at their ends."""

from collections.abc import Iterator

from .._i18n import say
from ..evidence import Activity, Evidence
from ..findings import Finding, Measurement
from .head import excess

DEAD = 0.9
"""Share of dead units of a layer. Half of a deep default net's may be dead in one batch, and it learns."""

SATURATED = 0.6
"""Share of pinned entries."""

ENTRIES = 8
"""Values of a unit in the batch below which chance alone leaves many at zero."""


ALIKE = 0.3
"""Share of the outputs that differs between samples, below which a bias has made them."""


ARRIVES = 1e-4
"""Gradient of the head's outputs against the loss, above which they are not pinned for the loss."""


def units(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`dead-units` and `saturation`, named by the layer before them."""
    counted = [each for each in evidence.base.activity if each.entries >= ENTRIES and not _is_prior(evidence, each)]
    # A single unit that is zero in one batch says little, unless it is why no gradient arrives anywhere.
    nothing = evidence.base.grad_norm == 0.0 and evidence.base.loss != 0.0
    dead = max((each for each in counted if each.units > 1 or nothing), key=lambda each: each.dead, default=None)
    pinned = max(counted, key=lambda each: each.saturated, default=None)
    for worst, share, limit, words in (
        (dead, dead.dead if dead else 0.0, DEAD, say("dead units")),
        (pinned, pinned.saturated if pinned else 0.0, SATURATED, say("saturated entries")),
    ):
        if worst is not None:
            yield Measurement(
                words,
                worst.layer,
                share,
                say("at most {limit:g}", limit=limit),
                say("no gradient goes through them"),
                share > limit,
            )
    if dead is not None and dead.dead > DEAD and not _is_silent(evidence, dead.layer):
        yield Finding(
            "dead-units",
            0.9,
            dead.layer,
            say(
                "{share:.0%} of the {units} units after {layer} are zero for the whole batch: they get no gradient",
                share=dead.dead,
                units=dead.units,
                layer=dead.layer,
            ),
            {"dead_fraction": dead.dead, "units": dead.units, "entries": dead.entries},
            ("zero-bias", "leaky-relu", "auto-initialisation"),
        )
    if pinned is not None and pinned.saturated > SATURATED:
        yield Finding(
            "saturation",
            0.85,
            pinned.layer,
            say(
                "{share:.0%} of the {function} outputs after {layer} are pinned at an end",
                share=pinned.saturated,
                function=pinned.function,
                layer=pinned.layer,
            ),
            {"saturated_fraction": pinned.saturated, "function": pinned.function},
            ("rescale-initialisation", "standardise-inputs"),
        )


def _is_prior(evidence: Evidence, each: Activity) -> bool:
    """Whether a head's bias says how rare a class is: outputs are alike, the loss is low, a gradient arrives."""
    base, last = evidence.base, evidence.chain[-1] if evidence.chain else None
    if last is None or each.layer != last.name or not each.saturated:
        return False
    arrives = (last.grad_norm or 0.0) > ARRIVES * abs(base.loss)
    return arrives and base.output_spread < ALIKE and not excess(base)


def _is_silent(evidence: Evidence, layer: str) -> bool:
    """Whether a layer makes nothing of something: then its weights are zero, and not its units dead."""
    calls = [call for call in evidence.base.calls if call.layer == layer]
    return all(call.output_rms == 0.0 for call in calls) and any(call.input_rms != 0.0 for call in calls)
