"""A reduced-precision range is exceeded.

float16 ends at 65504: a sum over many features, a square, a mask of -1e9 or a loss that was scaled too much leaves it
and is infinite. At the other end of a number are its digits: a weight in bfloat16 has eight, and a step that is shorter
than half of the last one is rounded away.

Seen in: float16 operations with an infinite result of finite numbers, and activations near the end of the range; a
model in float16 whose Adam has an epsilon that is 0 there, and divides by second moments that are; steps of a run that
learns nothing, after which nearly all of its weights in half precision are what they were.

Remedies: bfloat16, float32-for-this-operation, float32-for-this-layer, loss-scaling, lower-loss-scale, raise-epsilon,
rescale-initialisation, float32-weights.

Reference: Micikevicius et al., "Mixed precision training", 2018.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..._i18n import say
from ...findings import Finding
from ...rules.half import half
from ..case import ALIKE, ONSET, Case, anew

CAUSE = "half-overflow"

BACKWARD = "backward"
"""The pass that a loss scale is in."""

NOTHING = 2.0**-25
"""What is no larger is 0 in float16."""


def half_overflow(case: Case) -> Iterator[Finding]:
    """By the operations in float16, at the start or at the onset; by an epsilon that is none."""
    yield from _without_epsilon(case)
    yield from _rounded_away(case)
    for finding in case.at_start(half, CAUSE) or _at_onset(case) or _grown_out(case):
        scale = next((each["own_scale"] for each in case.symptoms if each.get("own_scale")), None)
        yield finding if scale is None or finding.evidence.get("phase") != BACKWARD else _of_scale(finding, scale)


def _at_onset(case: Case) -> list[Finding]:
    """Something that a run in half precision has come to; or, where nothing had grown before, that overflows alone."""
    found = case.at_onset(half, CAUSE)
    alone = case.broken is not None and case.broken.evidence.base.overflows and case.calm and case.onset > ALIKE
    return [anew(each) for each in found] if CAUSE in case.changes or alone else found


def _without_epsilon(case: Case) -> Iterator[Finding]:
    """Moments in float16, whose squares underflow soon, and an epsilon of 0: the update is 0 / 0."""
    known = next((each for each in case.recording.optimizers() if each.index == case.optimizer), None)
    seen = next(iter(case.symptoms), {})
    given = [group.get("eps") for group in seen.get("groups") or ()]
    eps = [each for each in given if isinstance(each, float) and 0.0 < each <= NOTHING]
    if known is None or not eps or "exp_avg_sq" not in (seen.get("moments") or {}):
        return
    if "nonfinite-parameter" in case.detectors and any(each.dtype == "float16" for each in known.tensors):
        yield Finding(
            CAUSE,
            0.95,
            f"optimizer {case.optimizer}",
            say("an eps of {eps:.3g} is 0 in float16: where the second moment is 0 too, Adam divides by 0", eps=eps[0]),
            {"eps": eps[0]},
            ("raise-epsilon", "bfloat16"),
            case.onset,
        )


def _rounded_away(case: Case) -> Iterator[Finding]:
    """Weights in half precision that steps do not change."""
    share = next((each.detail["rounded_away"] for each in case.alarms if "rounded_away" in each.detail), None)
    if share is not None:
        yield Finding(
            CAUSE,
            0.9,
            f"optimizer {case.optimizer}",
            say(
                "a step leaves {share:.0%} of the weights that get a gradient as they were: in half precision they "
                "have too few digits for it",
                share=share,
            ),
            {"rounded_away": share},
            ("float32-weights",),
            case.onset,
        )


def _grown_out(case: Case) -> list[Finding]:
    """Operations that overflow with the weights of now alone: the loss stays finite where it is divided by that."""
    for look in case.looks:
        found = [each for each in case.ask(half, CAUSE, look.evidence, ONSET) if "operations" in each.evidence]
        if found:
            return found
    return []


def _of_scale(finding: Finding, scale: float) -> Finding:
    """Only the gradients are beyond the range, and the script multiplies its loss: by too much."""
    summary = say("{found}; the script multiplies its loss by {scale:.0f}", found=finding.summary, scale=scale)
    evidence = {**finding.evidence, "loss_scale": scale}
    return replace(finding, summary=summary, evidence=evidence, remedies=("lower-loss-scale", *finding.remedies))
