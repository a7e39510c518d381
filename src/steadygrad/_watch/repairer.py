"""Mode `repair`: what the evidence of an alarm says is wrong is put right in the running training, and verified.

One remedy at a time, the best supported first. What belongs to the start (initial weights, a loss's scale) takes the
run back to its first weights. A remedy after which alarms come again is taken away, with what it has done to the
weights, and the next one is tried.
"""

import functools
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .._foreach import zero_
from .._i18n import say
from .._recorded import recorded
from .._snapshot import TrainingParts, TrainingSnapshot
from .._tap import ClipTap, TapedPass
from ..diagnosis.case import ALIKE
from ..findings import Finding
from ..guard import Raised, Ruling
from ..interventions import Applied, Intervention, intervention_for
from ..remedies import remedy
from ..trials import Candidate
from .journal import Home, Journal
from .live_remedies import (
    ALSO_WHEN_HELD,
    AT_ONCE,
    HELD,
    NOW,
    OF_SOME,
    REINITIALISES,
    RENEWS,
    RESETS,
    SLOWLY,
    STALLS,
    TOGETHER,
    TOO_FAR,
    UNTOUCHED,
    WARM_UP,
)
from .loose import loose_of
from .prescriptions import Prescriptions, seen_first
from .repair import Repair, from_state
from .session import Session, steps_known
from .verification import begins_lower, found_nothing, has_fallen, has_worked, lies_above, speaks_against, stays
from .words import first_line

MOST = 4
"""Remedies that are tried in one run."""

EARLY = 64
"""Steps from the start within which going back to the first weights loses next to nothing."""

VERIFY = 48
"""Steps without an alarm after which a remedy has held."""

LEARNS = 96
"""Steps in which a run that had learned nothing has to have begun to."""

QUIETER = Candidate("lower-learning-rate", options={"factor": 0.25})
"""What is tried then where the loss has come to lie higher than it did."""

GRACE = 2
"""Steps after a remedy in which what was on its way still raises alarms."""


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
        self.first_pass: Callable[[Session], TapedPass | None] = lambda session: None
        """The first pass of a training, if it is kept."""
        self._prescriptions = Prescriptions(journal)
        self._tried: set[tuple[str, str]] = set()
        self._repairs: list[Repair] = []
        self._idle: set[int] = set()
        """Trainings that were seen to learn nothing, and have not begun to since."""
        self._ignorant: set[int] = set()
        """Those of them that say the same of every sample."""

    def _on_trial(self, session: Session) -> list[Repair]:
        """The remedies that have still to show what they do: one, or those that go together."""
        return [each for each in self._repairs if not each.held and each.of == session.index]

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
        on_trial = self._on_trial(session)
        current = on_trial[0] if on_trial else None
        ruling = self._without_expected(session, ruling)
        stalled = [raised.detail for raised in ruling.alarms if raised.detector == "stalled"]
        if stalled:
            self._idle.add(session.index)
        if any(detail.get("ignores_samples") for detail in stalled):
            self._ignorant.add(session.index)
        if current is not None and found_nothing(session, current):
            self._undo(on_trial, session, parts)
            self._repair(session, optimizer, parts)
            return
        if current is not None and not ruling.alarms and session.step - current.step > VERIFY:
            if current.level is None or has_fallen(session, current.level):
                self._idle.discard(session.index)
                self._ignorant.discard(session.index)
                for each in on_trial:
                    each.held = True
                    self._journal.action(session, "repair-held", {"remedy": each.remedy, "since": each.step})
                if not self._lowers_rate(session):
                    self._let_rate_come_back(session)
            elif session.step - current.step > LEARNS and stays(session, current, current.level, self.is_gone):
                current.held = True
                above = lies_above(session, current.level) and not self._lowers_rate(session)
                if above and len(self._repairs) < MOST:
                    self._apply(current.finding, QUIETER, session, optimizer, parts)
            elif session.step - current.step > LEARNS:
                self._undo(on_trial, session, parts)
                self._repair(session, optimizer, parts)
            return
        if not ruling.alarms:
            return
        if current is not None:
            if session.step - current.step <= GRACE:
                return
            shown = has_worked(session) or begins_lower(session, current)
            if speaks_against(current, ruling) and not (shown or self._elsewhere(session, ruling)):
                self._undo(on_trial, session, parts)
            else:
                for each in on_trial:
                    each.held = True
        self._repair(session, optimizer, parts, but=self._elsewhere(session, ruling))

    def _elsewhere(self, session: Session, ruling: Ruling) -> frozenset[str]:
        """The causes that something lies on the training for, where it is said to stall for the sake of another: the
        recording still speaks of them, and more of the same would only slow it down. Not where it had learned since,
        and has lost that: units that die then have been killed."""
        if not self._knows_nothing(session) and session.guard.level.elevated():
            return frozenset()
        answered = {each.finding.cause for each in self._repairs if each.of == session.index and not each.undone}
        about = {each.detail.get("cause") if each.detector == "stalled" else None for each in ruling.alarms}
        return frozenset() if None in about or about & answered else frozenset(answered)

    def _without_expected(self, session: Session, ruling: Ruling) -> Ruling:
        """A ruling without alarms of what a remedy that lies on the training does not let happen."""
        held = any(each.remedy == HELD and each.applied and each.of == session.index for each in self._repairs)
        if not held:
            return ruling
        return replace(ruling, alarms=tuple(each for each in ruling.alarms if each.detector not in ALSO_WHEN_HELD))

    def state_of(self, session: Session) -> dict[str, Any]:
        """What was done to a training, for its checkpoint."""
        repairs = [each.state_dict(session.params) for each in self._repairs if each.of == session.index]
        idle, ignorant = session.index in self._idle, session.index in self._ignorant
        outlier = self._prescriptions.outliers.get(session.index)
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
            self._prescriptions.outliers[session.index] = state["outlier"]
        lay_on = functools.partial(self._laid_on, session=session, optimizer=optimizer, resumed=True)
        self._repairs += [from_state(each, session.index, session.params, lay_on) for each in state["repairs"]]

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

    def _repair(
        self, session: Session, optimizer: Optimizer, parts: TrainingParts, *, but: Set[str] = frozenset()
    ) -> None:
        """Apply the first remedy that is asked for and was not tried yet, but for causes that are answered already."""
        if len(self._repairs) >= MOST:
            return
        done: Candidate | None = None
        for finding, candidate in self._prescriptions.wanted(session):
            if finding.cause in but:
                continue
            if done is not None and not (candidate.remedy in TOGETHER and candidate.remedy != done.remedy):
                continue
            if (finding.cause, candidate.name) in self._tried:
                continue
            if self._is_over(session, finding, candidate):
                continue
            self._tried.add((finding.cause, candidate.name))
            if candidate.remedy in REINITIALISES and not self._may_overwrite(session, finding):
                continue
            if self._apply(finding, candidate, session, optimizer, parts):
                if done is not None or candidate.remedy not in TOGETHER:
                    return
                done = candidate

    def _is_over(self, session: Session, finding: Finding, candidate: Candidate) -> bool:
        """Whether it is about the weights that the run had begun with, and others have taken their place for good."""
        about = candidate.remedy in REINITIALISES | OF_SOME and seen_first(finding)
        renewed = (each for each in self._repairs if each.remedy in REINITIALISES and each.held and not each.undone)
        return about and any(each.of == session.index for each in renewed)

    def _may_overwrite(self, session: Session, finding: Finding) -> bool:
        """Whether nothing is lost with the weights, which somebody may have trained before.

        The fault was there in the very first pass, no moments came with the optimizer, and the run is young or has
        never learned: its loss has not fallen, or it says the same of every sample.
        """
        if session.resumed or (not seen_first(finding) and session.step > ALIKE):
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
            else:  # what the fault has done to a run that is no longer young, before it was known
                back = session.recovery.restore_better(parts, newest=name not in TOO_FAR)
        if applied is None and factor is None:  # what it changes is the state that the run has gone back to
            applied = self._installed(name, candidate, session, optimizer, options)
        if name == "reset-moments" and self._begin_slowly(session, optimizer):
            factor = SLOWLY
        if name in REINITIALISES and not self._lowers_rate(session):
            self._give_rate_back(session, recorded("the run begins anew"))
        zero_([param.grad for param in parts.params if param.grad is not None])
        session.forget_moves()
        session.buffers.save()
        session.carried.arm()
        session.recovery.begin_anew()
        session.stall.repaired()
        self._repairs.append(Repair(session.index, name, finding, applied, session.step, options, first, level))
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

    @staticmethod
    def _begin_slowly(session: Session, optimizer: Optimizer) -> bool:
        """With new moments, but for no longer than those had taken that are still there."""
        over = int(min(WARM_UP, steps_known(optimizer)))
        return over > 1 and session.recovery.begin_slowly(recorded("its moments begin anew"), SLOWLY, over)

    def _give_rate_back(self, session: Session, reason: str) -> None:
        if session.recovery.give_rate_back(reason):
            self._journal.action(session, "return-lr", {"factor": 1.0, "reason": reason})

    def _let_rate_come_back(self, session: Session) -> None:
        """What the guard had lowered it for before the cause was known is put right."""
        reason = recorded("what was wrong is put right")
        if session.recovery.let_rate_come_back(reason):
            self._journal.action(session, "return-lr", {"factor": 1.0, "reason": reason})

    def _lowers_rate(self, session: Session) -> bool:
        """Whether a lower rate is a remedy that lies on the training."""
        lowered = [each for each in self._repairs if each.remedy == "lower-learning-rate" and not each.undone]
        return any(each.of == session.index for each in lowered)

    def _installed(
        self, name: str, candidate: Candidate, session: Session, optimizer: Optimizer, options: dict[str, Any]
    ) -> Applied:
        """A remedy that lies on the training from here on."""
        loose = loose_of(session, self.first_pass(session)) if name in REINITIALISES else None
        change = intervention_for(name, candidate.where, **options)
        return self._laid_on([change], session=session, optimizer=optimizer, loose=loose)

    def _laid_on(
        self,
        interventions: Sequence[Intervention],
        *,
        session: Session,
        optimizer: Optimizer,
        resumed: bool = False,
        loose: nn.Module | None = None,
    ) -> Applied:
        applied = Applied(interventions, self._clips, steps=False, resumed=resumed)
        applied.on_error = functools.partial(self._failed, session, applied)
        applied.install()
        applied.adopt(optimizer, loose)
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

    def _undo(self, on_trial: Sequence[Repair], session: Session, parts: TrainingParts) -> None:
        """They have not helped: take them away, with what they have done to the weights."""
        for each in reversed(on_trial):
            self._take_back(each, session, parts)

    def _take_back(self, current: Repair, session: Session, parts: TrainingParts) -> None:
        if current.applied is not None:
            current.applied.remove()
        current.applied, current.held, current.undone = None, True, True
        if current.remedy in ("lower-learning-rate", "reset-moments"):
            self._give_rate_back(session, recorded("it made no difference"))
        to = None
        if current.remedy in RENEWS and current.before is not None:
            to = self._restart(session, parts, current.before)
        detail = {"remedy": current.remedy, "cause": current.finding.cause, "since": current.step}
        self._journal.action(session, "undo-repair", detail if to is None else {**detail, "to": to})
        self._home.say(
            say("step {step}: {remedy} has not helped and is taken back", step=session.step, remedy=current.remedy)
        )
