"""A recorded run as the rules of diagnosis see it: what was measured before, at and after its onset."""

import functools
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from ..evidence import Evidence, from_plain
from ..findings import Finding, Measurement
from ..records import Alarm, Observation
from ..rules import Rule
from ..store import ProcessRecording
from ..store.reader import Steps
from .otherwise import other_computation, other_data

SCAR = 0.4
"""Confidence in what is seen at the onset alone and was not there at the start: it may be what the fault has left."""

ALIKE = 3
"""Steps after which weights may no longer be taken for those of the start."""

HISTORY = 64
"""Steps before the onset that say what is usual."""

SOON = 8
"""Steps after which a batch is another one, whatever is made of several."""

FOLLOWS = 16
"""Steps that show whether what has come in at the onset stays."""

LASTING = 0.75
"""The part of them that has to be clipped or lost."""

SPIKE = 8.0
"""Times that the gradient of one batch is larger than that of another with the same weights: they are not of a kind."""

GROWN = 4.0
"""Nats by which gradients had grown before, from which it is no lonely operation that fails."""

BURST = 1e6
"""Times the loss of the first pass, above which what is not finite is no matter of one operation."""

FIRST, ONSET = "first pass", "onset"
"""Where a finding was made."""


@dataclass(frozen=True, slots=True)
class Look:
    """One pass that was computed again. `batch_before` is loss and gradient norm of the batch before, same weights;
    `old_buffers` the same of this batch with the buffers of a while ago; `numbers` are the plain ones in its loss;
    `sound` says that the weights are those of before the damage; `worst` are the rows of the batch with the largest
    losses, the largest first, and these."""

    step: int
    evidence: Evidence
    batch_before: tuple[float, float] | None = None
    numbers: tuple[float, ...] = ()
    old_buffers: tuple[float, float] | None = None
    sound: bool = False
    worst: tuple[tuple[int, float], ...] = ()

    @property
    def finite(self) -> bool:
        """Whether nothing in it was found that is not."""
        return self.evidence.base.finite and self.evidence.origin is None


@dataclass(frozen=True)
class Case:
    """One optimizer of a run that raised alarms.

    Attributes:
        alarms: in order; at least one.
        start: the first pass, with the first weights.
        looks: passes at alarms, the first one first.
        symptoms: what lay there at alarms, the first one first, and the "step" at which: an alarm may come late.
        problems: why a pass could not be computed again.
        lines: of the user's code, such as "train.py:12": where the "optimizer" was made, a "step" was called, the
            "loss" was computed and a "model" was called.
    """

    recording: ProcessRecording
    optimizer: int
    alarms: tuple[Alarm, ...]
    start: Evidence | None = None
    looks: tuple[Look, ...] = ()
    symptoms: tuple[Mapping[str, Any], ...] = ()
    problems: tuple[str, ...] = ()
    lines: Mapping[str, str] = field(default_factory=dict)
    _found: dict[Any, list[Finding]] = field(default_factory=dict, repr=False, compare=False)

    @property
    def onset(self) -> int:
        """The step of the first alarm."""
        return min(alarm.step for alarm in self.alarms)

    @property
    def detectors(self) -> frozenset[str]:
        """Which detectors have raised alarms."""
        return frozenset(alarm.detector for alarm in self.alarms)

    @property
    def stalled(self) -> bool:
        """Whether the run was seen to learn nothing, and nothing else was."""
        return self.detectors == {"stalled"}

    @property
    def ignores_samples(self) -> bool:
        """Whether the model was seen to say nothing of its samples."""
        return any(alarm.detail.get("ignores_samples") for alarm in self.alarms)

    @functools.cached_property
    def steps(self) -> Steps:
        """The steps of this optimizer."""
        return self.recording.steps(self.optimizer)

    @property
    def first(self) -> Look | None:
        """The first pass that could be computed again."""
        return self.looks[0] if self.looks else None

    @property
    def broken(self) -> Look | None:
        """The first one that is not finite."""
        return next((look for look in self.looks if not look.finite), None)

    def before(self, column: str) -> np.ndarray:
        """The finite values of a column of the steps shortly before the onset."""
        steps = self.steps
        chosen = (steps.step < self.onset) & (steps.step >= self.onset - HISTORY)
        values = getattr(steps, column)[chosen]
        return values[np.isfinite(values)]

    def after(self, column: str, last: int = 16) -> np.ndarray:
        """The values of a column of the steps shortly after the onset; what is not finite is infinite."""
        steps = self.steps
        values = getattr(steps, column)[(steps.step > self.onset) & (steps.step <= self.onset + last)]
        return np.where(np.isnan(values), np.inf, values)

    @functools.cached_property
    def lonely(self) -> bool:
        """Whether the step of the onset was not finite, nothing had grown before it, and no pass tells of it."""
        steps, before = self.steps, self.before("grad_norm")
        at = steps.step == self.onset
        bad = bool(at.any()) and not np.isfinite(steps.grad_norm[at]).all()
        calm = self.onset == 0 or (len(before) >= 8 and float(before[-3:].max()) < 8 * float(np.median(before)))
        return bad and calm and not self.looks

    @functools.cached_property
    def calm(self) -> bool:
        """Whether nothing had grown until something was not finite: neither gradients before it, nor the loss with
        it."""
        norms, look = self.before("grad_norm"), self.broken
        if len(norms) >= 8:
            level, last = usual(norms[:-3]), float(norms[-3:].max())
            if level and nats(last / level) >= GROWN:
                return False
        if self.start is None or look is None or not math.isfinite(look.evidence.base.loss):
            return True
        return abs(look.evidence.base.loss) <= BURST * max(1.0, abs(self.start.base.loss))

    @property
    def fails_backwards(self) -> bool:
        """Whether the loss of the onset is finite, and its gradient is not: then data is finite too."""
        at = self.steps.step == self.onset
        losses, norms = self.steps.loss[at], self.steps.grad_norm[at]
        return bool(at.any() and np.isfinite(losses).all() and not np.isfinite(norms).all())

    @functools.cached_property
    def rescaled(self) -> bool:
        """Whether gradients stay far above what was usual after the onset: a new scale, not a batch."""
        before, after = self.before("grad_norm"), self.after("grad_norm")
        with np.errstate(invalid="ignore"):  # between two infinities
            return (
                len(before) >= 8 and len(after) >= 8 and float(np.quantile(after, 0.25)) > 30 * float(np.median(before))
            )

    @functools.cached_property
    def changes(self) -> frozenset[str]:
        """The causes that a script has brought in itself since its first pass: see `otherwise`."""
        if self.start is None or self.first is None or self.first.step <= ALIKE:
            return frozenset()
        computed, given = (each(self.start, self.first.evidence) for each in (other_computation, other_data))
        changes = computed | (given if self.stays_otherwise else frozenset())
        return changes - {"loss-scale"} if self.divides_by_squares else changes

    @property
    def divides_by_squares(self) -> bool:
        """Whether the optimizer divides by the size of gradients: then no scale of the loss makes its steps longer, but
        for as long as its moments remember another one."""
        kinds = self.symptoms[0].get("moments", {}) if self.symptoms else {}
        return any(is_square(name, each) for name, each in kinds.items())

    @functools.cached_property
    def stays_otherwise(self) -> bool:
        """Whether data that is of another kind at the onset is so in what follows: what is over is a batch.

        By the next pass that was looked at, or by steps that are clipped or lost one after the other. A pass is looked
        at for its gradient: where that of the batch before it was far smaller, it is one more batch.
        """
        if self.start is None or self.first is None:
            return False
        others = other_data(self.start, self.first.evidence)
        if not others:
            return False
        later = next((look for look in self.looks if look.step >= self.first.step + SOON), None)
        if later is not None:
            if later.batch_before and later.evidence.base.grad_norm > SPIKE * later.batch_before[1]:
                return False
            return bool(others & other_data(self.start, later.evidence))
        after = (self.steps.step > self.first.step) & (self.steps.step <= self.first.step + FOLLOWS)
        ruled = self.steps.action.astype(str)[after] != ""
        return len(ruled) >= FOLLOWS and float(ruled.mean()) > LASTING

    def at_start(self, rule: Rule, cause: str) -> list[Finding]:
        """What a rule of the check finds in the first pass."""
        return [] if self.start is None else self.ask(rule, cause, self.start, FIRST)

    def at_onset(self, rule: Rule, cause: str) -> list[Finding]:
        """What it finds in the first pass after an alarm, in the first that is not finite, or before any damage."""
        for look in (self.first, self.broken, *(each for each in self.looks[1:] if each.sound)):
            found = [] if look is None else self.ask(rule, cause, look.evidence, ONSET)
            if found:
                return found
        return []

    def static(self, rule: Rule, cause: str) -> Iterator[Finding]:
        """What a rule finds of a fault that is there from the start."""
        found = self.at_start(rule, cause)
        if found:
            yield from found
        elif self.start is None:
            first = self.first
            certainty = 1.0 if first is not None and first.step <= ALIKE else 2 * SCAR
            yield from (weighed(each, certainty) for each in self.at_onset(rule, cause))
        else:
            late = anew if cause in self.changes else functools.partial(weighed, factor=SCAR)
            yield from map(late, self.at_onset(rule, cause))

    def ask(self, rule: Rule, cause: str, evidence: Evidence, seen_in: str) -> list[Finding]:
        """What a rule of the check finds in one pass, about one cause."""
        key = rule, id(evidence)
        if key not in self._found:
            said = list(rule(evidence))
            beyond = tuple(each for each in said if isinstance(each, Measurement) and each.beyond)
            self._found[key] = [replace(each, measured=beyond) for each in said if isinstance(each, Finding)]
        return [
            replace(each, step=self.onset, evidence={**each.evidence, "seen_in": seen_in})
            for each in self._found[key]
            if each.cause == cause
        ]


def anew(finding: Finding) -> Finding:
    """The same finding, of something that has come in with the onset."""
    return replace(finding, evidence={**finding.evidence, "anew": True})


def weighed(finding: Finding, factor: float) -> Finding:
    """The same finding, believed more or less."""
    return replace(finding, confidence=max(0.0, min(0.99, finding.confidence * factor)))


def case_of(recording: ProcessRecording, optimizer: int, alarms: Sequence[Alarm], *, after: int = -1) -> Case:
    """Put together what a recording has of one optimizer; of what was looked at only what came `after` a step."""
    known = [each for each in recording.observations() if each.optimizer == optimizer]
    starts = [found for each in known if each.kind == "start" and (found := _evidence(each)) is not None]
    seen = [each for each in known if each.step > after]
    looks = [(each, found) for each in seen if each.kind == "examination" and (found := _evidence(each)) is not None]
    looked = tuple(_look(each, found) for each, found in looks)
    if not starts and looked and looked[0].step == 0:
        starts = [looked[0].evidence]
    return Case(
        recording,
        optimizer,
        tuple(alarms),
        starts[0] if starts else None,
        looked,
        tuple({"step": each.step, **each.detail} for each in seen if each.kind == "symptoms"),
        tuple(str(each.detail["problem"]) for each in seen if each.detail.get("problem")),
        {name: line for each in reversed(known) for name, line in (each.detail.get("lines") or {}).items() if line},
    )


def _look(observation: Observation, evidence: Evidence) -> Look:
    numbers = tuple(float(each) for each in observation.detail.get("numbers") or ())
    detail = observation.detail
    before, buffers = _pair(detail.get("batch_before")), _pair(detail.get("old_buffers"))
    told = detail.get("samples") or {}
    worst = tuple(zip(told.get("samples", ()), map(float, told.get("losses", ())), strict=False))
    return Look(observation.step, evidence, before, numbers, buffers, "weights_of" in detail, worst)


def _evidence(observation: Observation) -> Evidence | None:
    values = observation.detail.get("evidence")
    try:
        return None if values is None else from_plain(values)
    except ValueError:
        return None


def _pair(value: Any) -> tuple[float, float] | None:
    return None if value is None else (float(value[0]), float(value[1]))


def is_square(name: str, moments: Mapping[str, Any]) -> bool:
    """Whether a kind of state is a mean of squares: never negative, and somewhere not zero."""
    return float(moments["smallest"]) >= 0.0 and float(moments["norm"]) > 0.0 and "buffer" not in name


def usual(values: np.ndarray) -> float | None:
    """The median; None of nothing."""
    return float(np.median(values)) if len(values) else None


def nats(ratio: float) -> float:
    """The logarithm of a ratio, finite."""
    return math.log(min(max(ratio, 1e-300), 1e300)) if not math.isnan(ratio) else 0.0
