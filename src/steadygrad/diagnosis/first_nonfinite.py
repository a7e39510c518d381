"""Where the first number that is not finite was: phase, module, operation, shape, samples, line."""

import math
from typing import Any

from ..evidence import Evidence
from ..store import ProcessRecording
from .case import Case, Look


def first_nonfinite(recording: ProcessRecording, cases: list[Case]) -> dict[str, Any] | None:
    """What is known of it; None if everything was finite.

    Where the pass of the onset could be computed again it names the operation. Else what the gradients and the loss of
    that step say, and, if a later step went wrong too, what that one showed (`armed`).
    """
    seen = recording.facts().get("first_nonfinite")
    broken = sorted((case.broken for case in cases if case.broken is not None), key=lambda look: look.step)
    by_step = next((alarm for case in cases for alarm in case.alarms if alarm.detector == "nonfinite-parameter"), None)
    # A step on a gradient that is not finite breaks the weights too: only what was broken before that was the step's.
    earlier = by_step is not None and (seen is None or by_step.step < seen["step"])
    if by_step is not None and earlier and (not broken or _bad_weight(broken[0].evidence) is not None):
        where = next(iter(by_step.detail.get("tensors", ())), None)
        return {"step": by_step.step, "phase": "optimizer", "where": where, "op": None, "shape": []}
    if seen is None or not broken:
        return seen
    look = broken[0]
    if look.step > seen["step"] and _bad_weight(look.evidence) is not None:
        return seen  # looked at too late: that step has broken the weights
    found = _of(look)
    if found is None:
        return seen
    return {"step": seen["step"], **found, "armed": look.step != seen["step"]}


def _of(look: Look) -> dict[str, Any] | None:
    evidence, origin = look.evidence, look.evidence.origin
    given = (*evidence.inputs, *evidence.targets)
    bad = next((each for each in given if each.nonfinite and not (evidence.sound_batch and origin)), None)
    if bad is None and origin is None:
        bad = next((each for each in given if each.minus_infinite), None)
    if bad is not None:
        share = (bad.nonfinite or bad.minus_infinite) / max(1, math.prod(bad.shape))
        return {"phase": "data", "where": bad.name, "op": None, "shape": list(bad.shape), "share": share}
    weight = _bad_weight(evidence)
    if weight is not None:
        return {"phase": "optimizer", "where": weight, "op": None, "shape": []}
    if origin is None:
        return None
    return {
        "phase": origin.phase,
        "where": origin.where or None,
        "op": origin.op,
        "shape": list(origin.shape),
        "kind": origin.kind,
        "share": origin.share,
        "samples": list(origin.samples),
        "line": None if origin.line is None else f"{origin.line[0]}:{origin.line[1]}",
    }


def _bad_weight(evidence: Evidence) -> str | None:
    return next((name for name, norm in evidence.base.weight_norms.items() if not math.isfinite(norm)), None)
