"""Mode `repair`: what the evidence of an alarm says is wrong is put right in the running training, and verified.

One remedy at a time, the best supported first. What belongs to the start (initial weights, a loss's scale) takes the
run back to its first weights. A remedy after which alarms come again is taken away, with what it has done to the
weights, and the next one is tried.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from torch.optim import Optimizer

from .._foreach import zero_
from .._i18n import say
from .._recorded import recorded
from .._snapshot import TrainingParts, TrainingSnapshot
from .._tap import ClipTap
from ..diagnosis import diagnose
from ..diagnosis.case import ALIKE, FIRST
from ..errors import SteadygradError
from ..findings import Finding
from ..guard import FELL, Raised, Ruling
from ..interventions import Applied, Intervention, intervention_for, kept_of
from ..remedies import remedy
from ..store import Run, open_run
from ..trials import Candidate, candidates
from .journal import Home, Journal
from .live_remedies import (
    ALSO_WHEN_HELD,
    ASKED_FOR,
    AT_ONCE,
    DRIVEN,
    HELD,
    LASTING,
    LIVE,
    NOW,
    OF_SOME,
    REINITIALISES,
    RENEWS,
    RESETS,
    SEEN,
    SKIPPED,
    STALLS,
    TOO_FAR,
    UNFIT,
    UNTOUCHED,
)
from .session import Session
from .words import first_line

MOST = 4
"""Remedies that are tried in one run."""

SURE = 0.5
"""Confidence from which a finding is acted upon."""

EARLY = 64
"""Steps from the start within which going back to the first weights loses next to nothing."""

VERIFY = 48
"""Steps without an alarm after which a remedy has held."""

LEARNS = 96
"""Steps in which a run that had learned nothing has to have begun to."""

FALLS = 0.05
"""The part of itself by which its loss has to have fallen then."""

WORSE = 0.5
"""The part of itself by which it has risen where a remedy did harm."""

GRACE = 2
"""Steps after a remedy in which what was on its way still raises alarms."""

REPEATED = 4
"""Steps lost in a row from which leaving batches out is no cure."""

APART = 8
"""Steps after which an outlier is another one."""


@dataclass
class _Repair:
    """A remedy that lies on the training of the optimizer `of`. `before` is the state that the run had begun with,
    `level` the loss at which a run had stalled; `settled` says whether the state that it begins with now is kept."""

    of: int
    remedy: str
    finding: Finding
    applied: Applied | None
    step: int
    options: Mapping[str, Any]
    before: TrainingSnapshot | None = None
    level: float | None = None
    held: bool = False
    settled: bool = False
    undone: bool = False


class Repairer:
    """Applies remedies to one process' trainings.

    Args:
        journal: what is recorded, and where: the findings are those of the recording so far.
        home: where people are spoken to.
        clips: sees torch's clipping functions.
    """

    def __init__(self, journal: Journal, home: Home, clips: ClipTap) -> None:
        self._journal = journal
        self._home = home
        self._clips = clips
        self.is_gone: Callable[[Session], bool] = lambda session: False
        """Whether a look finds no longer what kept a training from learning."""
        self._tried: set[tuple[str, str]] = set()
        self._repairs: list[_Repair] = []
        self._idle: set[int] = set()
        """Trainings that were seen to learn nothing, and have not begun to since."""
        self._ignorant: set[int] = set()
        """Those of them that say the same of every sample."""
        self._outlier: dict[int, int] = {}
        """The step of the last outlier of each training: it is over, and explains nothing that comes later."""

    def _current(self, session: Session) -> _Repair | None:
        """The remedy that has still to show what it does."""
        return next((each for each in self._repairs if not each.held and each.of == session.index), None)

    def untouched(self, session: Session) -> bool:
        """Whether nothing has been done to a training yet: its first pass is still what it has begun with."""
        return all(each.of != session.index for each in self._repairs)

    def before_step(self, session: Session, optimizer: Optimizer, parts: TrainingParts) -> None:
        """A step is about to be made: what lies on the training does its part, and then the guard judges it."""
        for each in self._repairs:
            if each.applied is None:
                continue
            fresh = not each.settled and each.of == session.index
            each.settled |= fresh
            if fresh and each.remedy in REINITIALISES:
                each.applied.settle()
                self._settle(session, parts)
            each.applied.before_step(optimizer)
            if fresh and each.remedy in RESETS:
                self._settle(session, parts)

    @staticmethod
    def _settle(session: Session, parts: TrainingParts) -> None:
        """What the training begins with from here on is what a rollback has to find."""
        session.recovery.ring.clear()
        session.recovery.begin(session.step, parts, session.names)

    def unmended(self, raised: Sequence[Raised]) -> list[Raised]:
        """Alarms of a look at what the script computes, less those about what is being put right beside it."""
        mended = {each.finding.cause for each in self._repairs if each.applied is not None}
        return [each for each in raised if each.detail.get("cause") not in mended]

    @contextmanager
    def aside(self) -> Iterator[None]:
        """Within a step: weights are as the script has them, for whoever computes a pass again."""
        applied = [each.applied for each in self._repairs if each.applied is not None]
        for each in reversed(applied):
            each.step_aside()
        try:
            yield
        finally:
            for each in applied:
                each.step_back()

    def after_step(self, optimizer: Optimizer) -> None:
        """It is over."""
        for each in reversed(self._repairs):
            if each.applied is not None:
                each.applied.after_step(optimizer)

    def judge(self, session: Session, optimizer: Optimizer, parts: TrainingParts, ruling: Ruling) -> None:
        """After a step: verify what was done, or do something about an alarm."""
        current = self._current(session)
        ruling = self._without_expected(session, ruling)
        stalled = [raised.detail for raised in ruling.alarms if raised.detector == "stalled"]
        if stalled:
            self._idle.add(session.index)
        if any(detail.get("ignores_samples") for detail in stalled):
            self._ignorant.add(session.index)
        if current is not None and self._found_nothing(session, current):
            self._undo(current, session, parts)
            self._repair(session, optimizer, parts)
            return
        if current is not None and not ruling.alarms and session.step - current.step > VERIFY:
            if current.level is None or self._has_fallen(session, current.level):
                current.held = True
                self._idle.discard(session.index)
                self._ignorant.discard(session.index)
                detail = {"remedy": current.remedy, "since": current.step}
                self._journal.action(session, "repair-held", detail)
            elif session.step - current.step > LEARNS and self._stays(session, current, current.level):
                current.held = True
            elif session.step - current.step > LEARNS:
                self._undo(current, session, parts)
                self._repair(session, optimizer, parts)
            return
        if not ruling.alarms:
            return
        if current is not None:
            if session.step - current.step <= GRACE:
                return
            if self._speaks_against(current, ruling) and not self._has_worked(session):
                self._undo(current, session, parts)
            else:
                current.held = True
        self._repair(session, optimizer, parts)

    @staticmethod
    def _speaks_against(current: _Repair, ruling: Ruling) -> bool:
        """Whether alarms say that a remedy has not removed what it was for."""
        kinds = {raised.detector.partition("-")[0] for raised in ruling.alarms}
        return current.finding.cause not in UNFIT or "nonfinite" in kinds

    @staticmethod
    def _has_worked(session: Session) -> bool:
        """Whether the loss had lost a good part of itself since the remedy: what comes then is another thing.

        Of the first one after it, or of the very first, whichever is lower: the one after it may be a spike still.
        """
        level = session.guard.level
        firsts = [each for each in (level.first, session.stall.first) if each is not None]
        return level.known and bool(firsts) and min(firsts) - level.best > FELL * abs(min(firsts))

    def _without_expected(self, session: Session, ruling: Ruling) -> Ruling:
        """A ruling without alarms of what a remedy that lies on the training does not let happen."""
        held = any(each.remedy == HELD and each.applied and each.of == session.index for each in self._repairs)
        if not held:
            return ruling
        return replace(ruling, alarms=tuple(each for each in ruling.alarms if each.detector not in ALSO_WHEN_HELD))

    @staticmethod
    def _found_nothing(session: Session, current: _Repair) -> bool:
        """Whether a remedy of what was there in the first pass has changed nothing."""
        first = current.remedy in REINITIALISES or (current.remedy in OF_SOME and _seen_first(current.finding))
        made = session.step > current.step
        return first and made and current.applied is not None and not current.applied.times

    @staticmethod
    def _has_fallen(session: Session, level: float) -> bool:
        now = session.guard.level.level()
        return now is not None and now < level - max(FALLS * abs(level), 2.0 * session.guard.level.noise())

    def _stays(self, session: Session, current: _Repair, level: float) -> bool:
        """Whether a remedy stays although the run has not begun to learn: many a sound one takes its time.

        What was wrong was seen itself, or is gone, and the loss is no higher for it.
        """
        now = session.guard.level.level()
        worse = now is not None and now > level + WORSE * abs(level)
        return not worse and (current.finding.cause in SEEN or self.is_gone(session))

    def state_of(self, session: Session) -> dict[str, Any]:
        """What was done to a training, for its checkpoint."""
        repairs = [
            {
                "remedy": each.remedy,
                "cause": each.finding.cause,
                "confidence": each.finding.confidence,
                "where": each.finding.where,
                "options": dict(each.options),
                "step": each.step,
                "level": each.level,
                "held": each.held,
                "undone": each.undone,
                "lies": each.applied is not None,
                "layers": [] if each.applied is None else each.applied.state_of(session.params),
            }
            for each in self._repairs
            if each.of == session.index
        ]
        idle, ignorant = session.index in self._idle, session.index in self._ignorant
        outlier = self._outlier.get(session.index)
        tried = list(map(list, self._tried))
        return {"repairs": repairs, "tried": tried, "idle": idle, "ignorant": ignorant, "outlier": outlier}

    def resume(self, session: Session, optimizer: Optimizer, state: Mapping[str, Any]) -> None:
        """Go on from a checkpoint: what lay on the training is laid on it again, in place of what does; nothing is
        overwritten."""
        for each in self._repairs:
            if each.of == session.index and each.applied is not None:
                each.applied.remove()
        self._repairs = [each for each in self._repairs if each.of != session.index]
        self._tried.update((cause, name) for cause, name in state["tried"])
        if state["idle"]:
            self._idle.add(session.index)
        if state["ignorant"]:
            self._ignorant.add(session.index)
        if state["outlier"] is not None:
            self._outlier[session.index] = state["outlier"]
        for each in state["repairs"]:
            name, applied = each["remedy"], None
            if each["lies"] and name not in AT_ONCE:  # those options came with the optimizer
                lying: list[Intervention] = [kept_of(kept, session.params) for kept in each["layers"]]
                if name not in RENEWS and not lying:  # what was done to the state that it began with is done
                    lying = [intervention_for(name, each["where"], **each["options"])]
                applied = self._laid_on(lying, session, optimizer, resumed=True)
            finding = Finding(each["cause"], each["confidence"], each["where"], "")
            repair = _Repair(session.index, name, finding, applied, each["step"], each["options"], level=each["level"])
            repair.held, repair.undone, repair.settled = each["held"], each["undone"], True
            self._repairs.append(repair)

    def stay(self, optimizers: Mapping[int, Optimizer | None]) -> None:
        """Nobody will tell of steps any more, by an error of ours: nobody has asked for the remedies to go."""
        for each in self._repairs:
            if each.applied is not None:
                each.applied.stay(optimizers.get(each.of))

    def remove(self, optimizers: Mapping[int, Optimizer | None]) -> None:
        """Let go of the trainings, but for what their optimizers' states depend on by now."""
        for each in self._repairs:
            if each.applied is not None:
                each.applied.leave(optimizers.get(each.of))
        self._repairs.clear()

    def _repair(self, session: Session, optimizer: Optimizer, parts: TrainingParts) -> None:
        if len(self._repairs) >= MOST:
            return
        for finding, candidate in self._wanted(session):
            if (finding.cause, candidate.name) in self._tried:
                continue
            if self._is_over(session, finding, candidate):
                continue
            self._tried.add((finding.cause, candidate.name))
            if candidate.remedy in REINITIALISES and not self._may_overwrite(session, finding):
                continue
            if self._apply(finding, candidate, session, optimizer, parts):
                return

    def _is_over(self, session: Session, finding: Finding, candidate: Candidate) -> bool:
        """Whether it is about the weights that the run had begun with, and others have taken their place for good."""
        about = candidate.remedy in REINITIALISES | OF_SOME and _seen_first(finding)
        renewed = (each for each in self._repairs if each.remedy in REINITIALISES and each.held and not each.undone)
        return about and any(each.of == session.index for each in renewed)

    def _wanted(self, session: Session) -> Iterator[tuple[Finding, Candidate]]:
        """Findings that are sure enough, each with what may be done about it."""
        for finding in self._findings(session):
            if finding.confidence < SURE:
                continue
            over = not (LASTING & finding.evidence.keys() or self._recurs(session, finding) or _insists(session))
            if finding.cause in SKIPPED and over:
                return  # leaving the step out, or going back, has been the remedy
            names = LIVE.get(finding.cause, ())
            named = [name for name in names if name in finding.remedies]
            if finding.cause in DRIVEN and not _seen_first(finding) and session.stall.never_fell():
                named = ["lower-learning-rate"]
            for name in dict.fromkeys([*named, *names]):
                if name == "divide-loss-by-accumulation-steps" and not finding.evidence.get("passes"):
                    continue
                if name in ASKED_FOR and name not in finding.remedies:
                    continue
                yield from ((finding, candidate) for candidate in candidates(name, finding))

    def _recurs(self, session: Session, finding: Finding) -> bool:
        """Whether this is not the first outlier: data that is gone through again has it each time."""
        if finding.cause != "outlier-batch":
            return False
        last = self._outlier.get(session.index)
        if last is None or session.step - last > APART:
            self._outlier[session.index] = session.step
        return last is not None and session.step - last > APART

    def _findings(self, session: Session) -> Sequence[Finding]:
        """What the recording says, best supported first: of a training that has had an outlier what came after it."""
        folder = self._journal.folder
        if folder is None:
            return ()
        self._journal.flush()
        try:
            run, last = open_run(Path(folder)), self._outlier.get(session.index)
            if last is None or not _looked_since(run, session.index, last + APART):
                return diagnose(run)  # nothing else is known of this alarm
            # An alarm may be about steps before the one that raises it.
            return diagnose(run, {session.index: last + APART}) or diagnose(run, {session.index: last})
        except SteadygradError:
            return ()  # a recording that cannot be read now is no evidence

    def _may_overwrite(self, session: Session, finding: Finding) -> bool:
        """Whether nothing is lost with the weights, which somebody may have trained before.

        The fault was there in the very first pass, no moments came with the optimizer, and the run is young or has
        never learned: its loss has not fallen, or it says the same of every sample.
        """
        if session.resumed or (not _seen_first(finding) and session.step > ALIKE):
            return False
        return session.step <= EARLY or self._knows_nothing(session)

    def _knows_nothing(self, session: Session) -> bool:
        return session.stall.never_fell() or session.index in self._ignorant

    def _apply(
        self, finding: Finding, candidate: Candidate, session: Session, optimizer: Optimizer, parts: TrainingParts
    ) -> bool:
        name = candidate.remedy
        back, first = None, session.recovery.ring.first()
        idle = finding.cause in STALLS or session.index in self._idle
        level = self._stalled_at(session) if idle else None
        if name in REINITIALISES and first is None:
            return False
        options = {**candidate.options, **NOW.get(name, {})}
        applied = factor = None
        if name == "lower-learning-rate":
            factor = float(options["factor"])
            if not session.recovery.lower_rate(recorded("the evidence says so"), factor):
                return False
        elif name in AT_ONCE:
            applied = self._installed(name, candidate, session, optimizer, options)
            if not applied.times:
                applied.remove()
                return False
        learned = not idle or not self._knows_nothing(session)
        if finding.cause not in UNTOUCHED:
            if session.step <= EARLY or name in REINITIALISES or (name in TOO_FAR and not learned):
                back = self._restart(session, parts)
            elif name in TOO_FAR:
                back = session.recovery.restore_better(parts)
        if applied is None and factor is None:  # what it changes is the state that the run has gone back to
            applied = self._installed(name, candidate, session, optimizer, options)
        if name in REINITIALISES and not self._lowers_rate(session):
            session.recovery.give_rate_back(recorded("the run begins anew"))
        zero_([param.grad for param in parts.params if param.grad is not None])
        session.forget_moves()
        session.buffers.save()
        session.carried.arm()
        session.recovery.begin_anew()
        self._repairs.append(_Repair(session.index, name, finding, applied, session.step, options, first, level))
        known = remedy(name)
        detail = {
            "remedy": name,
            "cause": finding.cause,
            "confidence": finding.confidence,
            "where": finding.where,
            "change": known.change,
            "code": known.code,
            "line": finding.line,
            "to": back,
            "factor": factor,
        }
        self._journal.action(session, "repair", {key: value for key, value in detail.items() if value is not None})
        self._home.say(
            say(
                "step {step}: {cause} ({sure:.0%}): {change} To make it permanent: {code}",
                step=session.step,
                cause=finding.cause,
                sure=finding.confidence,
                change=known.said,
                code=known.code,
            )
        )
        return True

    @staticmethod
    def _restart(session: Session, parts: TrainingParts, before: TrainingSnapshot | None = None) -> int | None:
        """Back to the state that the training has begun with; returns its step."""
        to = session.recovery.restart(parts, before)
        if to is not None:
            session.stall.begun_anew()
        return to

    def _lowers_rate(self, session: Session) -> bool:
        """Whether a lower rate is a remedy that lies on the training."""
        lowered = [each for each in self._repairs if each.remedy == "lower-learning-rate" and not each.undone]
        return any(each.of == session.index for each in lowered)

    def _installed(
        self, name: str, candidate: Candidate, session: Session, optimizer: Optimizer, options: dict[str, Any]
    ) -> Applied:
        """A remedy that lies on the training from here on."""
        return self._laid_on([intervention_for(name, candidate.where, **options)], session, optimizer)

    def _laid_on(
        self, interventions: Sequence[Intervention], session: Session, optimizer: Optimizer, *, resumed: bool = False
    ) -> Applied:
        applied = Applied(interventions, self._clips, steps=False, resumed=resumed)
        applied.on_error = functools.partial(self._failed, session, applied)
        applied.install()
        applied.adopt(optimizer)
        return applied

    def _stalled_at(self, session: Session) -> float | None:
        """The level that a run that learns nothing is stuck at; after a remedy that was no good, that before it."""
        now = session.guard.level.level()
        before = [each.level for each in self._repairs if each.of == session.index and each.level is not None]
        return before[-1] if now is None and before else now

    def _failed(self, session: Session, applied: Applied, error: Exception) -> None:
        """A remedy has stumbled: the training goes on without it."""
        applied.remove()
        for each in self._repairs:
            if each.applied is applied:
                each.applied, each.held = None, True
                detail = {"remedy": each.remedy, "cause": each.finding.cause, "error": first_line(error)}
                self._journal.action(session, "undo-repair", detail)

    def _undo(self, current: _Repair, session: Session, parts: TrainingParts) -> None:
        """It has not helped: take it away, with what it has done to the weights."""
        if current.applied is not None:
            current.applied.remove()
        current.applied, current.held, current.undone = None, True, True
        if current.remedy == "lower-learning-rate":
            session.recovery.give_rate_back(recorded("it made no difference"))
        to = None
        if current.remedy in RENEWS and current.before is not None:
            to = self._restart(session, parts, current.before)
        detail = {"remedy": current.remedy, "cause": current.finding.cause, "since": current.step}
        self._journal.action(session, "undo-repair", detail if to is None else {**detail, "to": to})
        self._home.say(
            say("step {step}: {remedy} has not helped and is taken back", step=session.step, remedy=current.remedy)
        )


def _looked_since(run: Run, optimizer: int, step: int) -> bool:
    """Whether a pass of a training was computed again after a step."""
    seen = [] if run.main is None else run.main.observations()
    return any(each.kind == "examination" and each.optimizer == optimizer and each.step > step for each in seen)


def _seen_first(finding: Finding) -> bool:
    """Whether a fault was there in the very first pass."""
    return finding.evidence.get("seen_in") == FIRST


def _insists(session: Session) -> bool:
    """Whether what a skip and a rollback do does not last."""
    incident = session.recovery.incident
    return session.lost_in_a_row >= REPEATED or (incident is not None and incident.rollbacks > 1)
