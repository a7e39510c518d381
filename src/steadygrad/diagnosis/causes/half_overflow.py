"""A reduced-precision range is exceeded.

float16 ends at 65504: a sum over many features, a square, a mask of -1e9 or a loss that was scaled too much leaves it
and is infinite.

Seen in: float16 operations with an infinite result of finite numbers, and activations near the end of the range.

Remedies: bfloat16, float32-for-this-operation, float32-for-this-layer, loss-scaling, lower-loss-scale,
rescale-initialisation.

Reference: Micikevicius et al., "Mixed precision training", 2018.
"""

from collections.abc import Iterator
from dataclasses import replace

from ..._i18n import say
from ...findings import Finding
from ...rules.half import half
from ..case import ONSET, Case

CAUSE = "half-overflow"

BACKWARD = "backward"
"""The pass that a loss scale is in."""


def half_overflow(case: Case) -> Iterator[Finding]:
    """By the operations in float16, at the start or at the onset."""
    for finding in case.at_start(half, CAUSE) or case.at_onset(half, CAUSE) or _grown_out(case):
        scale = next((each["own_scale"] for each in case.symptoms if each.get("own_scale")), None)
        yield finding if scale is None or finding.evidence.get("phase") != BACKWARD else _of_scale(finding, scale)


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
