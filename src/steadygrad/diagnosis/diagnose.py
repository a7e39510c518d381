"""From a recorded run to its causes, ranked."""

import logging
import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import TypeAlias

from ..findings import OUT_OF_SCALE, SCALES, VANISHING, Finding
from ..rules.data import idle_share
from ..store import Run
from .case import FIRST, ONSET, Case, case_of, weighed
from .causes import CAUSES

Cause: TypeAlias = Callable[[Case], Iterator[Finding]]

LOG = logging.getLogger(__name__)

STRUCTURAL = frozenset({"missing-zero-grad", "nonfinite-data", "corrupt-state", "clip-before-unscale"})
"""Causes that are seen themselves, not by what they do: what else is seen beside them, they have done."""

STALLING = VANISHING | STRUCTURAL | {"attention-logits", "stale-second-moment"}
"""Causes of a run that does not learn."""

SURE = 0.7
"""Confidence from which a cause explains others."""

IDLE_WITHOUT = 0.5
"""Share of idle units below which a net is awake."""

PINNED = 0.95
"""Share of a bounded nonlinearity's outputs at an end, from which next to nothing comes through."""

GROWN = 0.6
"""Confidence in weights that have grown, from which their gradients may be as large as they like."""

LINES = {
    "learning-rate": "optimizer",
    "stale-second-moment": "optimizer",
    "weight-growth": "optimizer",
    "missing-zero-grad": "step",
    "loss-scale": "loss",
    "input-scale": "model",
    "outlier-batch": "model",
    "nonfinite-data": "model",
}
"""Which line of the user's code a cause is about."""

EXPLAINED = 0.5
"""Factor on the confidence of what another cause explains."""

LEAST = 0.15
"""Confidence below which nothing is said."""


def diagnose(run: Run, after: Mapping[int, int] | None = None) -> tuple[Finding, ...]:
    """The causes of what went wrong in a run, best supported first; none for a run without an alarm.

    Args:
        run: a recorded run, ended or not.
        after: by optimizer the step up to which alarms are over and explained: what came since is asked for.
    """
    return ranked([each for case in cases_of(run, after) for each in of_case(case)])


def cases_of(run: Run, after: Mapping[int, int] | None = None) -> list[Case]:
    """One for each optimizer that has raised an alarm, in any recording of the main rank."""
    found = []
    for recording in run.recordings:
        if run.main is not None and recording.rank == run.main.rank:
            late = [each for each in recording.alarms() if each.step > (after or {}).get(each.optimizer, -1)]
            for one in sorted({alarm.optimizer for alarm in late}):
                alarms = [alarm for alarm in late if alarm.optimizer == one]
                found.append(case_of(recording, one, alarms, after=(after or {}).get(one, -1)))
    return found


def of_case(case: Case) -> list[Finding]:
    """What every rule says of one optimizer, weighed against what the others say."""
    said = [each for cause in CAUSES for each in _asked(cause, case)]
    return [_placed(case, each) for each in _explained(_fitting(case, said))]


def _asked(cause: Cause, case: Case) -> list[Finding]:
    """What one rule says. One that stumbles over a recording (torn, or of another version) says nothing."""
    try:
        return list(cause(case))
    except Exception:
        LOG.warning("%s cannot judge this recording", cause.__name__, exc_info=True)
        return []


def _placed(case: Case, finding: Finding) -> Finding:
    """With the line of the user's code that it is about, and why nothing was computed again if nothing was."""
    line = finding.evidence.get("line") or case.lines.get(LINES.get(finding.cause, ""))
    evidence = {name: value for name, value in finding.evidence.items() if name != "line"}
    if not case.looks and case.problems:
        evidence["no_replay"] = case.problems[0]
    return replace(finding, line=line, evidence=evidence)


def ranked(findings: list[Finding]) -> tuple[Finding, ...]:
    """Each cause once, at its best, the most certain first; of two alike that which was there before any step."""
    best: dict[str, Finding] = {}
    for each in findings:
        if each.confidence >= LEAST and (each.cause not in best or best[each.cause].confidence < each.confidence):
            best[each.cause] = each
    return tuple(sorted(best.values(), key=lambda each: (-each.confidence, each.evidence.get("seen_in") != FIRST)))


def _fitting(case: Case, findings: list[Finding]) -> list[Finding]:
    """A run that explodes does not do so because gradients vanish, and one that stalls not because they explode."""
    if case.stalled:
        by_inputs = _wakes(case)
        return [
            weighed(each, EXPLAINED)
            if by_inputs and each.cause in ("saturation", "dead-units")
            else each
            if each.cause in STALLING
            or _is_flung(each)
            or _is_lost(each)
            or (by_inputs and each.cause == "input-scale")
            else weighed(each, 0.8)
            for each in findings
        ]
    return [
        weighed(each, EXPLAINED) if each.cause in VANISHING and (not _is_pinned(each) or _wakes(case)) else each
        for each in findings
    ]


def _is_pinned(finding: Finding) -> bool:
    """Whether next to nothing came through a nonlinearity from the first pass on: what does so now and then, where a
    unit is just between its ends, comes with a slope that is as steep as the others are flat."""
    first = finding.evidence.get("seen_in") == FIRST
    return finding.cause == "saturation" and first and finding.evidence.get("saturated_fraction", 0.0) > PINNED


def _is_flung(finding: Finding) -> bool:
    """Whether the first steps have carried the weights to where nothing is learned."""
    told = {"weight_norm_first", "moved", "grad_gain_first"}
    return finding.cause == "learning-rate" and bool(told & finding.evidence.keys())


def _is_lost(finding: Finding) -> bool:
    """Whether an operation was seen to overflow: what is divided by infinity is nothing, and the loss stays finite."""
    return finding.cause == "half-overflow" and "operations" in finding.evidence


def _is_slope(finding: Finding) -> bool:
    """Whether the derivative of an operation was seen to be infinite, where its value is not."""
    return finding.cause == "unsafe-op" and finding.evidence.get("phase") == "backward"


def _is_elsewhere(finding: Finding, sure: list[Finding]) -> bool:
    """Whether a recurrence that grows from the first pass on is another layer than the one that is meant."""
    grows = {each.where for each in sure if each.cause == "recurrent-gain" and each.evidence.get("seen_in") == FIRST}
    return bool(grows) and finding.where not in grows


def _falls_to_its_end(finding: Finding) -> bool:
    """Whether the steps that were tried took the loss down until it was not finite."""
    losses = finding.evidence.get("losses") if finding.cause == "learning-rate" else None
    told = [] if losses is None else [each for each in losses if isinstance(each, (int, float)) and math.isfinite(each)]
    return len(told) > 1 and losses is not None and len(told) < len(losses) and told[-1] == min(told) < told[0]


def _wakes(case: Case) -> bool:
    """Whether units that are idle in the first pass are not with standardised inputs."""
    after = None if case.start is None else case.start.standard_inputs
    if case.start is None or after is None:
        return False
    return idle_share(after) < IDLE_WITHOUT < idle_share(case.start.base)


def _explained(findings: list[Finding]) -> list[Finding]:
    """What is seen itself explains the rest; so does what was there from the start, and scales explain rates."""
    sure = [each for each in findings if each.confidence >= SURE]
    lost, by_slope = any(map(_is_lost, sure)), any(map(_is_slope, sure))
    sure = [each for each in sure if not (lost and _falls_to_its_end(each))]
    structural = any(each.cause in STRUCTURAL for each in sure)
    from_the_start = {each.cause for each in sure if each.evidence.get("seen_in") == FIRST}
    grown = any(each.cause == "weight-growth" and each.confidence >= GROWN for each in findings)
    pinned, flung = any(map(_is_pinned, sure)), any(map(_is_flung, sure))
    came_in = {each.cause for each in sure if each.evidence.get("anew")}
    stretched = any("update_rms_over_lr" in each.evidence for each in sure)

    def is_explained(each: Finding) -> bool:
        late = each.evidence.get("seen_in") == ONSET
        return (
            (structural and each.cause not in STRUCTURAL)
            # Steps as large as a slope of hundreds makes them, where a unit is between its ends, are no rate's doing.
            or (each.cause == "learning-rate" and (bool(from_the_start & OUT_OF_SCALE) or pinned))
            # What a recurrence has made large is large behind it.
            or (each.cause == "init-gain" and "output_rms" in each.evidence and "recurrent-gain" in from_the_start)
            # It pins what lies behind it, too; where it was pinned itself nothing would grow.
            or (each.cause == "saturation" and not late and _is_elsewhere(each, sure))
            # An infinite slope at numbers of usual size makes NaN of any scale, and of any step.
            or (by_slope and each.cause in SCALES | {"learning-rate"})
            # A loss that falls until an operation overflows is not driven up.
            or (lost and _falls_to_its_end(each))
            # A scar.
            or (late and each.cause in SCALES - came_in and bool(from_the_start - {each.cause}))
            # A run that had borne it until something else came in.
            or (bool(came_in - {each.cause}) and each.cause not in STRUCTURAL | came_in)
            # A batch that nothing is known of but its gradient.
            or (each.cause == "outlier-batch" and each.where == "batch" and (grown or pinned))
            # Steps that a moment has made longer than the rate.
            or (_is_flung(each) and stretched)
            # Logits and units that steps have driven apart were sound before them.
            or (late and each.cause in STALLING and flung)
        )

    return [weighed(each, EXPLAINED) if is_explained(each) else each for each in findings]
