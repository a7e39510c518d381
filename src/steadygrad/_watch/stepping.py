"""The life of one step: measured, judged, scaled, looked into, answered, and once it is over recorded and put right."""

import functools
import math
import time
from collections.abc import Callable
from dataclasses import replace
from types import FrameType
from typing import Any

from torch.optim import Optimizer

from .._foreach import scale_
from .._i18n import say
from .._recorded import recorded
from .._tap import LossTap, Plan
from ..errors import TrainingDiverged
from ..guard import Incident, Raised, Ruling
from ..records import DRIFTS
from .examiner import Examiner
from .journal import Home, Journal
from .keeper import Keeper
from .mending import Mending
from .pending import Pending
from .recovery import learning_rate
from .rulings import as_carried_out, of_shards, unsound, with_alarms
from .session import Session, scalar_loss
from .settings import Settings
from .trainings import Trainings
from .words import first_line

SCALER_STREAK = 20
"""Steps left out by a gradient scaler in a row that are no longer its search for a scale: 2^20 down from its start."""

RISING, RISING_EVERY = 128, 8
"""Steps of a loss that has come up in which weights are sampled, and from one sample to the next: by the number of the
step, since what is clipped on and on completes no check, and would be sampled at every one."""

VERIFYING = 2
"""Passes that are taped before it is decided what follows an incident."""

FACTS_EVERY = 16
"""Steps between two updates of the recorded overhead."""


class Stepping:
    """Leads the steps of one process, from the first question of its hooks to the last.

    Args:
        settings: what the watcher was asked for.
        home: where people are spoken to.
        journal: what is recorded.
        trainings: the sessions of the optimizers.
        mending: the repairer, if there is one.
        examiner: computes passes again.
        losses: has the losses since the last step.
        on_incident: called when an incident begins and when it ends.
        on_diverged: called before a training is stopped.
    """

    def __init__(
        self,
        settings: Settings,
        home: Home,
        journal: Journal,
        trainings: Trainings,
        mending: Mending,
        examiner: Examiner,
        losses: LossTap,
        *,
        on_incident: Callable[[Incident], None] | None,
        on_diverged: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._home = home
        self._journal = journal
        self._trainings = trainings
        self._mending = mending
        self._examiner = examiner
        self._losses = losses
        self._on_incident = on_incident
        self._on_diverged = on_diverged
        self._keeper = Keeper(journal, home)
        self._looks = mending.looks(examiner)
        self._pending: dict[int, Pending] = {}
        self._owed: tuple[Pending, bool] | None = None
        self._made = 0
        self._last_loss: tuple[int, float | None] = (-1, None)
        self.spent = 0.0
        """Seconds, until now."""

    def before(
        self,
        optimizer: Optimizer,
        closure_loss: Any,
        frame: FrameType | None,
        *,
        may_clip: bool,
        left_out: bool,
    ) -> Plan:
        """Gradients are there, the step is not made yet; `left_out`, and the scaler will not have it made."""
        began = time.perf_counter()
        self._examiner.passes.pause()  # what is measured is no part of the next pass
        session = self._trainings.session(optimizer, frame)
        acts = self._trainings.acts_on(session)
        if acts:
            self._mending.before_step(session, optimizer)
        lr = session.recovery.before(optimizer) if acts else learning_rate(optimizer)
        losses = self._losses.take() or scalar_loss(closure_loss)
        reading = session.measure(optimizer, losses, left_out=left_out)
        loss = self._loss(session, reading.losses, reading.norm)
        inside = closure_loss is not None
        step = Pending(session, reading, Ruling(""), loss, lr, acts=acts, may_clip=may_clip, inside=inside)
        session.look_along()
        self._begin_sample(session)
        held = session.recovery.held(reading.norm) if acts and may_clip else 1.0
        self._judge(step, optimizer, held)
        self._scale(step, optimizer, held)
        self._answer(step, optimizer, self._look(step, optimizer))
        if step.ruling.lost or reading.left_out:
            session.sampler.drop()
        elif not session.sharded:
            session.look_for_writes(loss)
        if session.by_hand and acts:  # the script's next pass begins before anybody is told that the step is over
            self._keeper.put_right(session, lost=step.ruling.lost)
        self._pending[id(optimizer)] = step
        self.spent += time.perf_counter() - began
        return Plan(lose=step.ruling.lost)

    def undone(self, optimizer: Optimizer) -> None:
        """A step that had been judged sound failed half-way and was undone."""
        step = self._pending.get(id(optimizer))
        if step is not None:
            detail = {"reason": recorded("the step became non-finite between evaluations of its closure")}
            step.ruling = Ruling("skip", 0.0, (Raised("nonfinite-gradient", detail),), detail)
            step.session.sampler.drop()
            if step.acts:
                step.session.recovery.escalation.taken_back()
                self._escalate(step, optimizer, step.ruling, loss=None)

    def after(self, optimizer: Optimizer, *, lost: bool) -> None:
        """The step is over."""
        step = self._pending.pop(id(optimizer), None)
        if step is None:
            return
        began = time.perf_counter()
        session = step.session
        if not lost:  # what was stepped on is still there: not what the script has of it
            session.look_at_move()
        if session.sampler.pending:
            self._end_sample(step)
        self._mending.after_step(optimizer)
        session.recovery.rate.restore()
        if session.policy is not None and step.acts and not lost and step.ruling.action == "":
            session.policy.after_step(optimizer)
        session.lost_in_a_row = session.lost_in_a_row + 1 if lost else 0
        self._journal.step(step)
        self._examiner.stepped(session, step.reading, 0.0 if lost else step.ruling.coefficient)
        if session.by_hand:  # its weights are in use: see `settle`
            self._owed = (step, lost)
        else:
            left_out = step.ruling.action == "scaler-skip"
            if not left_out:
                session.left_out_in_a_row = 0
            if self._settings.acts and (not left_out or step.ruling.alarms):
                self._keeper.put_right(session, lost=lost or left_out)
            self._keep(step, optimizer, lost=lost or left_out)
            session.step += 1
        self._made += 1
        self.spent += time.perf_counter() - began
        if self._made % FACTS_EVERY == 1:
            self._journal.overhead(self.spent)

    def settle(self, optimizer: Optimizer) -> bool:
        """No pass needs the weights: carry out what was ordered at a step by hand; returns whether they are others."""
        owed, self._owed = self._owed, None
        if owed is None:
            return False
        began = time.perf_counter()
        step, lost = owed
        session, changed = step.session, False
        if step.acts:
            before = [param._version for param in session.params]
            self._examiner.passes.pause()
            self._keep(step, optimizer, lost=lost)
            changed = before != [param._version for param in session.params]
            if changed and not lost:
                self._losses.take()  # of the weights of before
        session.step += 1
        self.spent += time.perf_counter() - began
        return changed

    def raised(self, optimizer: Optimizer) -> None:
        """The optimizer's own code has raised: what schedulers find now must be their own rate."""
        session = self._trainings.known(optimizer)
        if session is not None:
            session.recovery.rate.restore()
            self._mending.after_step(optimizer)

    def released(self, key: int) -> None:
        """An optimizer is gone."""
        self._pending.pop(key, None)

    def clear(self) -> None:
        """Hold nothing any more."""
        self._pending.clear()

    # The parts of `before`.

    def _loss(self, session: Session, losses: list[float], norm: float) -> float | None:
        if losses:
            sound = [loss for loss in losses if math.isfinite(loss)]
            if sound and math.isfinite(norm):
                # The script has thrown away a bad backward pass itself: the gradients of this step know nothing of it.
                losses = sound
            self._last_loss = (session.index, sum(losses) / len(losses))
            return self._last_loss[1]
        # A second optimizer that steps after the same backward pass shares its loss.
        index, loss = self._last_loss
        return loss if index != session.index else None

    def _begin_sample(self, session: Session) -> None:
        # While a loss comes up, weights that grow are looked at whatever it costs: the clock decides nothing then.
        rising = session.step % RISING_EVERY == 0 and 0 < session.guard.elevated_for <= RISING
        if session.sampler.due(session.step) or (rising and session.sampler.can):
            self._journal.sample(session, "param_norm", session.sampler.begin())

    def _judge(self, step: Pending, optimizer: Optimizer, held: float) -> None:
        """What the guard says of it, `held` being what its gradients are held at already."""
        session = step.session
        measured = session.measured(optimizer, step.reading, step.loss, step.lr, held)
        if step.reading.left_out:
            step.ruling = self._scaler_skip(session, step.loss)
        elif session.sharded:
            step.ruling = of_shards(step.loss)
        else:
            step.ruling = session.guard.judge(measured)
        if any(each.detector in DRIFTS for each in step.ruling.alarms):
            with self._mending.aside():
                step.ruling = self._looks.without_refuted(session, optimizer, step.ruling)

    def _scaler_skip(self, session: Session, loss: float | None) -> Ruling:
        """A step that the scaler leaves out: while it looks for its scale nothing is wrong, unless the loss is."""
        session.left_out_in_a_row += 1
        alarms = unsound(loss)
        detail = {"reason": recorded("the gradient scaler found an overflow"), "in_a_row": session.left_out_in_a_row}
        if session.left_out_in_a_row == SCALER_STREAK and not (alarms and session.alone):
            alarms = (*alarms, Raised("nonfinite-gradient", detail))
        return Ruling("scaler-skip", 1.0, alarms, detail)

    def _scale(self, step: Pending, optimizer: Optimizer, held: float) -> None:
        """Do what may be done of the ruling to the gradients."""
        session, reading = step.session, step.reading
        if step.ruling.action in {"clip", "hold"}:
            self._examiner.suspect(session)
        ruling = as_carried_out(step.ruling, acts=step.acts, may_clip=step.may_clip, guard_scales=session.guard_scales)
        ruling = replace(ruling, coefficient=held * ruling.coefficient) if held < 1.0 else ruling
        if ruling.action in {"", "clip"} and ruling.coefficient < 1.0:
            scale_(reading.grads, ruling.coefficient)
        if session.by_hand and session.recovery.factor != 1.0:
            scale_(reading.grads, session.recovery.factor)  # whose rate is in its own lines
        scales = step.acts and step.may_clip
        if (turned := session.noise_turned()) and scales and session.guard_scales:
            self._journal.action(session, turned, {"tail_index": session.guard.clip.tails.tail_index})
        elif ruling.action == "" and scales and session.policy is not None:
            ruling = replace(ruling, coefficient=session.clip_by_policy(optimizer, reading.norm))
        step.ruling = ruling

    def _look(self, step: Pending, optimizer: Optimizer) -> tuple[Raised, ...]:
        """Look at a run although nothing of this step stands out; alarms, if there is a reason."""
        session = step.session
        if step.reading.left_out or session.sharded or not session.guard.use_loss:
            return ()
        with self._mending.aside():
            seen, found = self._looks.look(session, optimizer, step.reading, step.ruling, step.loss, inside=step.inside)
        self._journal.observations(seen)
        return tuple(found)

    def _answer(self, step: Pending, optimizer: Optimizer, found: tuple[Raised, ...]) -> None:
        """Ask what follows beside the step, and compute the pass again if there is an alarm."""
        session, left_out = step.session, step.reading.left_out
        # Of what a look has found only a loss that was driven up is acted upon (by the repairer, if there is one): for
        # what never learns there is no better snapshot, and no rate at which it would.
        mends = self._settings.mends
        driven = tuple(each for each in found if each.detector in DRIFTS and not (mends and "cause" in each.detail))
        with self._mending.aside():
            if step.acts and not left_out:
                self._escalate(step, optimizer, with_alarms(step.ruling, driven), loss=step.loss)
            elif step.acts and step.ruling.alarms and (session.alone or session.left_out_in_a_row == SCALER_STREAK):
                # Left out by the scaler, and no overflow of its scale: lost. Ranks see different losses, and all of
                # them that it does not find its scale.
                self._escalate(step, optimizer, replace(step.ruling, action="skip"), loss=step.loss)
            step.ruling = ruling = with_alarms(step.ruling, found)
            if ruling.alarms or ruling.lost:
                self._journal.observations(
                    self._examiner.alarmed(
                        session,
                        optimizer,
                        ruling.alarms,
                        step.loss,
                        step.reading.norm,
                        coefficient=ruling.coefficient,
                        inside=step.inside,
                    )
                )

    def _escalate(self, step: Pending, optimizer: Optimizer, ruling: Ruling, *, loss: float | None) -> None:
        """Ask what comes beside the ruling; it is carried out once the step is over."""
        session = step.session
        parts = self._trainings.parts(session, optimizer)
        refuted = functools.partial(self._looks.comparison.refutes, session, optimizer)
        norm = step.reading.norm
        incident = session.recovery.ruled(session.step, ruling, loss, parts, session.names, refuted, norm=norm)
        if session.recovery.escalation.verifies_soon:
            self._examiner.passes.wanted = max(VERIFYING, self._examiner.passes.wanted)
        if incident is None:
            return
        self._journal.incident(session, incident)
        if self._on_incident is not None:
            try:
                self._on_incident(incident)
            except Exception as error:  # theirs, and no reason to end the training or the watching
                self._home.say(say("on_incident has failed: {error}", error=first_line(error)))

    # The parts of `after`.

    def _end_sample(self, step: Pending) -> None:
        session = step.session
        ratios = session.sampler.end(session.step)
        session.learn_proportionality(step.lr, step.reading.norm * step.ruling.coefficient, ratios)
        self._journal.sample(session, "update_ratio", ratios)

    def _keep(self, step: Pending, optimizer: Optimizer, *, lost: bool) -> None:
        """What was ordered, and what the evidence says."""
        if not step.acts:
            return
        session = step.session
        try:
            self._keeper.carry_out(session, optimizer, self._trainings.parts(session, optimizer), lost=lost)
        except TrainingDiverged:
            self._on_diverged()
            raise
        self._mending.judge(session, optimizer, step.ruling)
