"""From trials to a proof: which cause's removal mends the run, when nothing else does."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from .._i18n import say
from ..findings import Finding
from .series import Series
from .trial import Trial
from .turn import Since, turn

SPECIFIC = {
    **dict.fromkeys(
        (
            "missing-zero-grad",
            "nonfinite-data",
            "unsafe-op",
            "half-overflow",
            "clip-before-unscale",
            "corrupt-state",
            "outlier-batch",
        ),
        2.0,
    ),
    "learning-rate": 0.8,
    "stale-second-moment": 0.9,
    "weight-growth": 0.9,
}
"""How much a cause says that fits: a lower rate mends nearly everything, gradients that are cleared one fault only."""

RELIEVED = frozenset({"learning-rate"})
"""Causes whose removal relieves nearly every run that explodes: it proves them only if something else speaks for it."""

CALM = 1.5
"""Times the first loss that a sound run may show on its way."""

SUFFERED = 2 * CALM
"""Times where it began that a loss was thrown in a run that has suffered."""

BETTER = 0.1
"""Share of what the control has come down by which a run has to be below it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """What trials have shown.

    Attributes:
        findings: ranked anew; the one whose cause is proven first, with `proven` true; those whose removal did not
            mend the run have it false.
        cause: the proven one; None if no trial was sound, or the script is not the same from run to run.
        winner: the trial with the best end, whatever it removes.
        proving: the best trial that removes the proven cause.
        deterministic: whether two runs without a change were alike; None if only one was made.
    """

    findings: tuple[Finding, ...]
    cause: str | None
    winner: Trial | None
    proving: Trial | None
    deterministic: bool | None
    mended: tuple[Trial, ...] = ()


def mends(trial: Trial, controls: Sequence[Trial]) -> bool:
    """Whether a run is sound with a change, and is not without."""
    series = trial.series
    if trial.did_nothing or trial.error or not series.learns:
        return False
    control = worst(controls)
    if control is None or control.broken or not control.learns:
        # Of one that was thrown: that this one was not, or has at least come far below the start.
        return series.thrown <= max(CALM, 0.01 * min(control.thrown, 1e30) if control else CALM) or series.gained > 0.3
    # The control ends well enough; what it has suffered on the way must be gone, or its end be better.
    suffered = control.thrown > SUFFERED
    down = max(0.0, control.start - control.end)
    better = series.end < control.end - max(BETTER * down, 3 * max(series.noise, control.noise))
    return (suffered and series.thrown <= CALM) or better


def mended(trials: Sequence[Trial], controls: Sequence[Trial]) -> list[Trial]:
    """Those that are sound with their change.

    Where none is, and the task has become another on the way (a part of its loss weighs more now, its data are harder),
    what counts is whether a run keeps the level that the new task begins at, where the control is thrown from it.
    """
    sound = [each for each in trials if mends(each, controls)]
    control = worst(controls)
    step = None if sound or control is None else turn(controls, trials)
    if control is None or step is None:
        return sound
    done = [each for each in trials if not each.did_nothing and not each.error]
    bare, *changed = Since.all([control, *(each.series for each in done)], step)
    if bare.thrown <= SUFFERED:
        return []
    return [each for each, after in zip(done, changed, strict=True) if after.holds and after.thrown <= SUFFERED]


def worst(controls: Sequence[Trial]) -> Series | None:
    """The control that shows the fault most."""
    return max((each.series for each in controls), key=lambda each: (each.broken, each.end), default=None)


def prove(findings: Sequence[Finding], controls: Sequence[Trial], trials: Sequence[Trial]) -> Proof:
    """Judge trials against controls.

    Args:
        findings: of the diagnosis, ranked.
        controls: runs without a change; two of them show what is noise.
        trials: one change each.
    """
    sound = mended(trials, controls)
    alike = None if len(controls) < 2 else all(controls[0].series.like(each.series) for each in controls[1:])
    confidence = {each.cause: each.confidence for each in reversed(findings)}
    scores: dict[str, float] = {}
    for trial in sound:
        for cause in trial.candidate.removes if trial.candidate else ():
            if cause in confidence or cause not in RELIEVED:
                scores[cause] = confidence.get(cause, 0.1) * SPECIFIC.get(cause, 1.0)
    cause = max(scores, key=lambda each: scores[each]) if scores else None
    proving = _best([each for each in sound if each.candidate and cause in each.candidate.removes])
    tried = {cause for each in trials if each.candidate and not each.did_nothing for cause in each.candidate.removes}
    judged = [_judged(each, cause, scores, tried, alike) for each in findings]
    if cause is not None and cause not in confidence and proving is not None:
        judged.append(_found(cause, proving, alike))
    judged.sort(key=lambda each: (each.proven is not True, -each.confidence))
    return Proof(tuple(judged), cause, _best(sound), proving, alike, tuple(sound))


def _best(trials: Sequence[Trial]) -> Trial | None:
    """The one that ends lowest; where losses are in other units, the one that has come down furthest."""
    units = {each.candidate.remedy == "standardise-targets" for each in trials if each.candidate}
    if len(units) > 1:
        return max(trials, key=lambda each: each.series.gained, default=None)
    return min(trials, key=lambda each: each.series.end, default=None)


def _judged(
    finding: Finding, cause: str | None, scores: dict[str, float], tried: set[str], alike: bool | None
) -> Finding:
    if finding.cause not in tried:
        return finding
    if finding.cause == cause:
        sure = 0.98 if alike is not False else 0.8
        return replace(finding, proven=True, confidence=max(finding.confidence, sure))
    if finding.cause in scores:
        # Its removal mends the run too: it is not refuted, and something that says more explains it.
        return replace(finding, proven=None, confidence=finding.confidence * 0.6)
    return replace(finding, proven=False, confidence=finding.confidence * (0.3 if cause is not None else 0.6))


def _found(cause: str, proving: Trial, alike: bool | None) -> Finding:
    candidate = proving.candidate
    assert candidate is not None
    summary = say("found by trial: with {remedy} the run is sound", remedy=candidate.name)
    evidence: dict[str, Any] = {"end": proving.series.end, "start": proving.series.start}
    sure = 0.7 if alike is not False else 0.5
    return Finding(cause, sure, candidate.where, summary, evidence, (candidate.remedy,), None, proven=True)
