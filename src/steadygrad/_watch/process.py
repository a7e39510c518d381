"""The watcher of one process: asked about every optimizer step, it measures, rules, acts and records.

Promise: an error in here detaches the watcher with one line, and the training goes on as if it had never been there.
"""

import functools
import math
import os
import threading
import time
import weakref
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from torch import Tensor, nn
from torch.optim import Optimizer

from .. import _dist
from .._foreach import scale_
from .._i18n import say
from .._readback import read_step
from .._recorded import recorded
from .._snapshot import Room, TrainingParts, TrainingSnapshot
from .._tap import UPDATES, ByHand, ClipTap, HandTap, LossTap, Plan, ScalerTap, StepTap, is_quiet
from ..clip import Policy
from ..errors import TrainingDiverged
from ..guard import Incident, Raised, Ruling
from ..records import DRIFTS
from ..store import MAX_OPTIMIZERS, append_event
from .examiner import Examiner
from .journal import Home, Journal, Pending
from .keeper import Keeper
from .looks import Looks
from .owners import Owners
from .recovery import learning_rate
from .rulings import as_carried_out, unsound, with_alarms
from .session import Session, scalar_loss
from .words import first_line

if TYPE_CHECKING:
    from .repairer import Repairer

Clip: TypeAlias = Policy | Callable[[], Policy] | Literal[False] | None
"""What scales gradients: a policy, something that makes one for each optimizer, nothing, or (None) the default."""

SCALER_STREAK = 20
"""Steps left out by a gradient scaler in a row that are no longer its search for a scale: 2^20 down from its start."""

SCHEMA = "steadygrad.watch/1"
"""Of the watcher's state in a checkpoint."""

RISING, RISING_EVERY = 128, 8
"""Steps of a loss that has come up in which weights are sampled, and from one sample to the next: by the number of the
step, since what is clipped on and on completes no check, and would be sampled at every one."""

VERIFYING = 2
"""Passes that are taped before it is decided what follows an incident."""

FACTS_EVERY = 16
"""Steps between two updates of the recorded overhead."""


class Watcher:
    """Watches the optimizers of this process.

    Args:
        mode: "observe", "protect" or "repair".
        home: where records go.
        optimizers: the optimizers to watch; None: every one of the process.
        modules: where to look for the owners of the parameters; None: every module that is alive.
        others: optimizers that another watcher has, to be left alone.
        clip: what scales gradients, see `watch`.
        snapshot_memory: bytes that snapshots may take; None: a quarter of what is free, and none on several ranks.
        snapshot_every: steps between snapshots; None: by their cost.
        on_incident: called when an incident begins and when it ends.
        keep_batch: whether the samples of a batch that raises an alarm are kept with the run.
    """

    def __init__(
        self,
        mode: str,
        home: Home,
        *,
        optimizers: Sequence[Optimizer] | None = None,
        modules: Sequence[nn.Module] | None = None,
        others: "weakref.WeakSet[Optimizer] | None" = None,
        clip: Clip = None,
        snapshot_memory: int | None = None,
        snapshot_every: int | None = None,
        on_incident: Callable[[Incident], None] | None = None,
        keep_batch: bool = False,
    ) -> None:
        self._mode = mode
        self._clip: Clip = clip
        self._snapshot_memory = snapshot_memory
        self._room = Room(snapshot_memory)
        self._snapshot_every = snapshot_every
        self._on_incident = on_incident
        self._resumed: list[Mapping[str, Any]] = []
        self.averages: list[nn.Module] = []
        self.stateful: list[Any] = []
        self.acts = mode != "observe"
        self._home = home
        self._others = others
        self._chosen = None if optimizers is None else weakref.WeakSet(optimizers)
        self._owners = Owners(modules, self.fail)
        self.losses = LossTap(self.fail)
        self._scaler = ScalerTap(self.losses, self._left_out, self.fail)
        self._clips = ClipTap(self._scaler, self.fail)
        self._steps = StepTap(self, self.fail)
        self._examiner = Examiner(
            self._clips,
            self._scaler,
            home.say,
            self._owners.roots,
            self.fail,
            (lambda *kept: self._journal.batch(*kept)) if keep_batch else None,
        )
        self.losses.on_loss = lambda loss: self._examiner.backward(loss, adds=self.losses.adds)
        self._hand: HandTap | None = None
        if optimizers is None:
            self._hand = HandTap(self, self._owners.are_owned, self._by_hand, self._examiner.passes, self.fail)
            self.losses.on_enter, self.losses.on_left = self._hand.entered, self._hand.left
            self.losses.follows_grad = self._follows_grad
        self._lock = threading.RLock()
        self._going_on: dict[int, list[Any]] = {}
        self.dead = False
        self._forget()

    @property
    def recording(self) -> Path | None:
        """The run folder once something was recorded."""
        return self._journal.folder

    def safe_to_save(self) -> bool:
        """Whether no incident is open and the last alarm is some steps ago."""
        return all(session.recovery.settled for session in self._sessions.values())

    def newest_snapshot(self, optimizer: Optimizer) -> TrainingSnapshot | None:
        """The newest proven state of an optimizer's training."""
        session = self._sessions.get(id(optimizer))
        return None if session is None else session.recovery.ring.newest()

    def state_dict(self) -> dict[str, Any]:
        """What is known of each optimizer, in the order of their first steps."""
        known = [{**session.state_dict(), **self._repairs_of(session)} for session in self._sessions.values()]
        return {"schema": SCHEMA, "optimizers": known or self._resumed}

    @property
    def _mends(self) -> bool:
        return self._mode == "repair"

    def _repairs_of(self, session: Session) -> dict[str, Any]:
        return {} if self._repairer is None else {"repairs": self._repairer.state_of(session)}

    def _resume(self, session: Session, optimizer: Optimizer) -> None:
        """Go on from the state that was loaded for an optimizer, if one was."""
        if session.index >= len(self._resumed):
            return
        state = self._resumed[session.index]
        session.load_state_dict(state)
        repairs = state.get("repairs")
        if repairs is None:
            return
        if self.acts and repairs["repairs"]:  # in mode protect too: moments are those of layers trained as others
            self._repairer = self._repairer or self._new_repairer()
        if self._repairer is not None:
            self._repairer.resume(session, optimizer, repairs)
            return
        from ..interventions import go_on, kept_of

        for handle in self._going_on.pop(session.index, ()):
            handle.remove()
        layers = [kept_of(kept, session.params) for each in repairs["repairs"] for kept in each["layers"]]
        self._going_on[session.index] = go_on(optimizer, layers)

    def _new_repairer(self) -> "Repairer":
        """Imported where it is needed: it brings the diagnosis and every remedy with it."""
        from .repairer import Repairer

        return Repairer(self._journal, self._home, self._clips)

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`: each optimizer that has stepped already now, the others at their first step."""
        if state.get("schema") != SCHEMA:
            raise ValueError(f"state has schema {state.get('schema')!r}, expected {SCHEMA!r}")
        self._resumed = list(state["optimizers"])
        for session in list(self._sessions.values()):
            optimizer = session.ref()
            if optimizer is not None and session.index < len(self._resumed):
                self._resume(session, optimizer)
                if self._acts_on(session):
                    session.recovery.ring.clear()
                    session.recovery.begin(session.step, self._parts(session, optimizer), session.names)
        chosen = list(self._chosen or ())
        if len(chosen) == 1 and any(each.get("repairs", {}).get("repairs") for each in self._resumed):
            with self._lock:  # some remedies have a part in the first backward pass already
                self._session(chosen[0], None)

    def install(self) -> None:
        """Put the hooks in place."""
        self.losses.install()
        if self._hand is not None:
            self.losses.install_grad()
        self._scaler.install()
        self._clips.install()
        self._steps.install()
        for optimizer in self._chosen or ():
            self._steps.adopt(optimizer)
            self.built(optimizer)

    def remove(self) -> None:
        """Take the hooks away and make the recording complete."""
        self.close()
        self.dead = True
        self._steps.remove()
        self._scaler.remove()
        self._clips.remove()
        if self._repairer is not None:
            self._repairer.remove(self._optimizers())
        self.losses.remove()
        self._examiner.remove()
        for session in self._sessions.values():
            session.carried.disarm()
            session.loads.remove()
            session.recovery.rate.restore()

    def end(self) -> None:
        """The process ends: make the recording complete, and hold nothing that must be gone before the interpreter."""
        self.close()
        self.dead = True
        # A module holds its process group, and the threads of one that outlives the interpreter abort the process.
        self._examiner.remove()
        self._sessions.clear()
        self._owners.forget()
        self._pending.clear()
        self.averages.clear()
        self.stateful.clear()

    def close(self) -> None:
        """Make the recording complete."""
        try:
            if self._hand is not None:
                self._hand.finish()
                self._hand.end()
            if self._journal.recording:
                for session in self._sessions.values():
                    late = [replace(raised, late=raised.late + 1) for raised in session.guard.settle()]
                    self._journal.alarms(session, late, {})
                self._journal.overhead(self._spent)
                self._journal.close()
            for session in self._sessions.values():
                session.loads.remove()
            self._owners.remove()
        except Exception as error:
            self._journal.drop()
            self.fail(error)

    def _optimizers(self) -> dict[int, Optimizer | None]:
        return {session.index: session.ref() for session in self._sessions.values()}

    def fail(self, error: BaseException) -> None:
        """Detach after an error of ours. Hooks stay where they are (one may be running) and do nothing from here on."""
        if not self.dead:
            self.dead = True
            for session in self._sessions.values():
                session.recovery.rate.restore()
            if self._repairer is not None:
                self._repairer.stay(self._optimizers())
            self._home.say(
                say(
                    "an error inside steadygrad ({error}): it has let go of this run, training goes on unwatched",
                    error=first_line(error),
                )
            )
            if self._journal.folder is not None:
                append_event(self._journal.folder, "detached", error=first_line(error))
            self.close()

    def built(self, optimizer: Optimizer) -> None:
        """An optimizer was made: keep the buffers of its modules, before the first forward pass touches them."""
        if self.dead:
            return
        params = [param for group in optimizer.param_groups for param in group["params"]]
        roots = self._owners.roots(params)
        self._owners.built(optimizer)
        self._examiner.built(optimizer, params, roots)
        if not self.acts or isinstance(optimizer, ByHand):
            return
        self._owners.keep(optimizer, roots)

    def _follows_grad(self, leaves: Sequence[Tensor]) -> bool:
        """Whether `torch.autograd.grad` by these leaves is a training's: of an optimizer, or of the script's own."""
        return (self._hand is not None and self._hand.follows) or self._owners.are_owned(leaves)

    def _by_hand(self, stand_in: ByHand) -> None:
        """The script updates its weights itself."""
        if not self.acts:
            return
        if stand_in.piles:
            self._home.say(
                say(
                    "the script makes its updates itself, without an optimizer, of several backward passes: they are "
                    "watched, not protected"
                )
            )
        else:
            self._home.say(
                say("the script makes its updates itself, without an optimizer: their gradients are guarded")
            )

    # What `StepTap` asks.

    def wants(self, optimizer: Optimizer) -> bool:
        """Whether this optimizer is watched."""
        if self.dead or is_quiet() or (self._others is not None and optimizer in self._others):
            return False
        return self._chosen is None or optimizer in self._chosen

    def before(
        self,
        optimizer: Optimizer,
        closure_loss: Any,
        frame: FrameType | None,
        *,
        may_clip: bool,
        left_out: bool = False,
    ) -> Plan:
        """Gradients are there, the step is not made yet; `left_out`, and the scaler will not have it made."""
        began = time.perf_counter()
        self._examiner.passes.pause()  # what is measured is no part of the next pass
        if os.getpid() != self._pid:
            self._forget()
        if self._hand is not None and not isinstance(optimizer, ByHand):
            self._hand.end()
        with self._lock:
            session = self._session(optimizer, frame)
        if not left_out:
            self._scaler.stepped(optimizer)
        acts = self._acts_on(session)
        if self._repairer is not None and acts:
            self._repairer.before_step(session, optimizer, self._parts(session, optimizer))
        lr = session.recovery.before(optimizer) if acts else learning_rate(optimizer)
        losses = self.losses.take() or scalar_loss(closure_loss)
        reading = session.measure(optimizer, losses, left_out=left_out)
        loss = self._loss(session, reading.losses, reading.norm)
        session.look_along()
        self._begin_sample(session)
        held = session.recovery.held(reading.norm) if acts and may_clip else 1.0
        measured = session.measured(optimizer, reading, loss, lr, held)
        if reading.left_out:
            ruling = self._scaler_skip(session, loss)
        elif session.sharded:
            bad = loss is not None and not math.isfinite(loss)
            ruling = Ruling("", 1.0, (Raised("nonfinite-loss", {"loss": loss}),) if bad else ())
        else:
            ruling = session.guard.judge(measured)
        if any(each.detector in DRIFTS for each in ruling.alarms):
            with self._aside():
                ruling = self._looks.without_refuted(session, optimizer, ruling)
        if ruling.action in {"clip", "hold"}:
            self._examiner.suspect(session)
        ruling = as_carried_out(ruling, acts=acts, may_clip=may_clip, guard_scales=session.guard_scales)
        ruling = replace(ruling, coefficient=held * ruling.coefficient) if held < 1.0 else ruling
        if ruling.action in {"", "clip"} and ruling.coefficient < 1.0:
            scale_(reading.grads, ruling.coefficient)
        if session.by_hand and session.recovery.factor != 1.0:
            scale_(reading.grads, session.recovery.factor)  # whose rate is in its own lines
        if (turned := session.noise_turned()) and acts and may_clip and session.guard_scales:
            self._journal.action(session, turned, {"tail_index": session.guard.clip.tails.tail_index})
        elif ruling.action == "" and acts and may_clip and session.policy is not None:
            ruling = replace(ruling, coefficient=session.clip_by_policy(optimizer, reading.norm))
        found: tuple[Raised, ...] = ()
        if not reading.left_out and not session.sharded and session.guard.use_loss:
            inside = closure_loss is not None
            with self._aside():
                seen, raised = self._looks.look(session, optimizer, reading, ruling, loss, inside=inside)
            self._journal.observations(seen)
            found = tuple(raised)
        # Of what a look has found only a loss that was driven up is acted upon (by the repairer, if there is one): for
        # what never learns there is no better snapshot, and no rate at which it would.
        mending = self._mends
        driven = tuple(each for each in found if each.detector in DRIFTS and not (mending and "cause" in each.detail))
        with self._aside():
            if acts and not reading.left_out:
                self._escalate(session, optimizer, with_alarms(ruling, driven), loss, reading.norm)
            elif acts and ruling.alarms and (session.alone or session.left_out_in_a_row == SCALER_STREAK):
                # Left out by the scaler, and no overflow of its scale: lost. Ranks see different losses, and all of
                # them that it does not find its scale.
                self._escalate(session, optimizer, replace(ruling, action="skip"), loss, reading.norm)
            ruling = with_alarms(ruling, found)
            if ruling.alarms or ruling.lost:
                self._journal.observations(
                    self._examiner.alarmed(
                        session,
                        optimizer,
                        ruling.alarms,
                        loss,
                        reading.norm,
                        coefficient=ruling.coefficient,
                        inside=closure_loss is not None,
                    )
                )
        if ruling.lost or reading.left_out:
            session.sampler.drop()
        elif not session.sharded:
            session.probe.before()
        if session.by_hand and acts:  # the script's next pass begins before anybody is told that the step is over
            self._keeper.put_right(session, lost=ruling.lost)
        self._pending[id(optimizer)] = Pending(session, reading, ruling, loss, lr)
        self._spent += time.perf_counter() - began
        return Plan(lose=ruling.lost)

    def passed_by(self) -> None:
        """An optimizer that is not watched steps: the losses until now were its own."""
        self.losses.take()

    def undone(self, optimizer: Optimizer) -> None:
        """A step that had been judged sound failed half-way and was undone."""
        pending = self._pending.get(id(optimizer))
        if pending is not None:
            detail = {"reason": recorded("the step became non-finite between evaluations of its closure")}
            pending.ruling = Ruling("skip", 0.0, (Raised("nonfinite-gradient", detail),), detail)
            pending.session.sampler.drop()
            if self.acts:
                pending.session.recovery.escalation.taken_back()
                self._escalate(pending.session, optimizer, pending.ruling, None, pending.reading.norm)

    def after(self, optimizer: Optimizer, *, lost: bool) -> None:
        """The step is over."""
        pending = self._pending.pop(id(optimizer), None)
        if pending is None:
            return
        began = time.perf_counter()
        session = pending.session
        if self._repairer is not None:
            self._repairer.after_step(optimizer)
        session.recovery.rate.restore()
        if not lost:
            session.look_at_move()
        if session.policy is not None and self._acts_on(session) and not lost and pending.ruling.action == "":
            session.policy.after_step(optimizer)
        if session.sampler.pending:
            self._end_sample(pending)
        session.lost_in_a_row = session.lost_in_a_row + 1 if lost else 0
        self._journal.step(pending)
        self._examiner.stepped(session, pending.reading, 0.0 if lost else pending.ruling.coefficient)
        if session.by_hand:  # its weights are in use: see `settle`
            self._owed = (pending, lost)
        else:
            left_out = pending.ruling.action == "scaler-skip"
            if not left_out:
                session.left_out_in_a_row = 0
            if self.acts and (not left_out or pending.ruling.alarms):
                self._keeper.put_right(session, lost=lost or left_out)
            self._keep(session, optimizer, pending.ruling, lost=lost or left_out)
            session.step += 1
        self._made += 1
        self._spent += time.perf_counter() - began
        if self._made % FACTS_EVERY == 1:
            self._journal.overhead(self._spent)

    def settle(self, optimizer: Optimizer) -> bool:
        """No pass needs the weights: carry out what was ordered at a step by hand; returns whether they are others."""
        owed, self._owed = self._owed, None
        if owed is None:
            return False
        began = time.perf_counter()
        pending, lost = owed
        session, changed = pending.session, False
        if self._acts_on(session):
            before = [param._version for param in session.params]
            self._examiner.passes.pause()
            self._keep(session, optimizer, pending.ruling, lost=lost)
            changed = before != [param._version for param in session.params]
            if changed and not lost:
                self.losses.take()  # of the weights of before
        session.step += 1
        self._spent += time.perf_counter() - began
        return changed

    def raised(self, optimizer: Optimizer) -> None:
        """The optimizer's own code has raised: what schedulers find now must be their own rate."""
        session = self._sessions.get(id(optimizer))
        if session is not None:
            session.recovery.rate.restore()
            if self._repairer is not None:
                self._repairer.after_step(optimizer)

    # What happens in a step.

    def _aside(self) -> AbstractContextManager[None]:
        """What is being repaired steps aside while passes are computed again."""
        return nullcontext() if self._repairer is None else self._repairer.aside()

    def _acts_on(self, session: Session) -> bool:
        """Whether a training is protected: not what is only observed."""
        return self.acts and not session.sharded and not session.observed

    def _session(self, optimizer: Optimizer, frame: FrameType | None) -> Session:
        session = self._sessions.get(id(optimizer))
        if session is not None and session.ref() is optimizer:
            if session.refresh(optimizer, frame):
                self._journal.optimizer(session.info)
            return session
        rank, world_size = _dist.world()
        if not self._count:
            self._journal.open(rank, self.end)
            if world_size > 1 and self._snapshot_memory is None:
                self._room = Room(0)  # what is free differs from rank to rank, and they must go back alike
        session = Session(
            self._count,
            optimizer,
            frame,
            find_roots=self._owners.roots,
            early=self._owners.kept(optimizer),
            clip=_made(self._clip),
            alone=world_size == 1,
            room=self._room,
            snapshot_every=self._snapshot_every,
            for_good=self._mode == "repair",
            say=self._home.say,
            on_cleared=functools.partial(self._cleared, id(optimizer)),
            on_error=self.fail,
        )
        self._sessions[id(optimizer)] = session
        weakref.finalize(optimizer, self._release, id(optimizer)).atexit = False
        self._count += 1
        self._journal.optimizer(session.info)
        self._examiner.begin(session, optimizer, self._room, frame)
        if session.by_hand:
            session.step = UPDATES  # those by which it was seen what the script does
            for loss in read_step([], 0, 0.0, self.losses.earlier())[1]:
                session.stall.begin(loss)
        if self._count == MAX_OPTIMIZERS + 1:
            self._home.say(
                say("more than {count} optimizers: the others are watched, but not recorded", count=MAX_OPTIMIZERS)
            )
        if self._count == 1:
            self._journal.announce(session, rank, world_size)
            if self.acts and rank == 0 and world_size > 1 and self._snapshot_memory is None and not session.sharded:
                self._home.say(
                    say("no snapshots: on several ranks they need a snapshot_memory that is the same on all")
                )
        self._resume(session, optimizer)
        if self.acts and not session.observed:
            session.carried.learn()
            if not session.sharded:
                self._begin_recovery(session, optimizer)
        return session

    def _begin_recovery(self, session: Session, optimizer: Optimizer) -> None:
        """The state that a training begins with is the first to go back to."""
        parts = self._parts(session, optimizer)
        if not isinstance(optimizer, ByHand):
            session.recovery.begin(session.step, parts, session.names)
            return
        # Some steps are made already. Where a script may remember more than its weights, they cannot be taken back.
        with optimizer.begun() if optimizer.plain else nullcontext():
            session.recovery.begin(0 if optimizer.plain else session.step, parts, session.names)
        session.recovery.moved_on = session.recovery.trained = optimizer.plain

    def _parts(self, session: Session, optimizer: Optimizer) -> TrainingParts:
        return session.parts(optimizer, self.averages, self._scaler.scaler, self.stateful)

    def _escalate(
        self, session: Session, optimizer: Optimizer, ruling: Ruling, loss: float | None, norm: float
    ) -> None:
        """Ask what comes beside the ruling; it is carried out once the step is over."""
        parts = self._parts(session, optimizer)
        refuted = functools.partial(self._looks.comparison.refutes, session, optimizer)
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

    def _keep(self, session: Session, optimizer: Optimizer, ruling: Ruling, *, lost: bool) -> None:
        """After a step: what was ordered, and what the evidence says."""
        if not self._acts_on(session):
            return
        self._carry_out(session, optimizer, lost=lost)
        if self._repairer is not None and self._mends and session.alone:
            self._repairer.judge(session, optimizer, self._parts(session, optimizer), ruling)

    def _carry_out(self, session: Session, optimizer: Optimizer, *, lost: bool) -> None:
        try:
            self._keeper.carry_out(session, optimizer, self._parts(session, optimizer), lost=lost)
        except TrainingDiverged:
            self.close()
            self.dead = True
            raise

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

    def _end_sample(self, pending: Pending) -> None:
        session = pending.session
        ratios = session.sampler.end(session.step)
        session.learn_proportionality(pending.lr, pending.reading.norm * pending.ruling.coefficient, ratios)
        self._journal.sample(session, "update_ratio", ratios)

    def _release(self, key: int) -> None:
        """An optimizer is gone: let go of its parameters and modules."""
        session = self._sessions.get(key)
        if session is not None and session.ref() is None:
            session.carried.disarm()
            session.loads.remove()
            session.recovery.ring.close()
            self._journal.alarms(session, session.guard.settle(), {})
            del self._sessions[key]
        self._pending.pop(key, None)

    def _cleared(self, key: int, where: str) -> None:
        session = self._sessions.get(key)
        if session is not None:
            self._journal.action(session, "clear-carried-state", {"where": where})

    def _left_out(self, optimizer: Optimizer) -> None:
        """The scaler has not called the optimizer: a step without a hook, and a step all the same."""
        if self.dead or not self.wants(optimizer):
            self.losses.take()
            return
        self.before(optimizer, None, None, may_clip=False, left_out=True)
        self.after(optimizer, lost=False)

    def _scaler_skip(self, session: Session, loss: float | None) -> Ruling:
        """A step that the scaler leaves out: while it looks for its scale nothing is wrong, unless the loss is."""
        session.left_out_in_a_row += 1
        alarms = unsound(loss)
        detail = {"reason": recorded("the gradient scaler found an overflow"), "in_a_row": session.left_out_in_a_row}
        if session.left_out_in_a_row == SCALER_STREAK and not (alarms and session.alone):
            alarms = (*alarms, Raised("nonfinite-gradient", detail))
        return Ruling("scaler-skip", 1.0, alarms, detail)

    def _forget(self) -> None:
        """Start anew: at first, and in a forked child, whose parent owns the recording."""
        self._pid = os.getpid()
        self._inherited = getattr(self, "_journal", None)  # kept, not closed: closing belongs to the parent
        self._journal = Journal(self._mode, self._home)
        self._keeper = Keeper(self._journal, self._home)
        self._repairer = self._new_repairer() if self._mends else None
        mends = self._repairer
        self._looks = (
            Looks(self._examiner) if mends is None else Looks(self._examiner, mends.unmended, eager=mends.untouched)
        )
        if mends is not None:
            mends.is_gone = self._looks.is_gone
        self._sessions: dict[int, Session] = {}
        self._pending: dict[int, Pending] = {}
        self._owed: tuple[Pending, bool] | None = None
        self._count = 0
        self._made = 0
        self._spent = 0.0
        self._last_loss: tuple[int, float | None] = (-1, None)


def _made(clip: Clip) -> Policy | Literal[False] | None:
    """The policy of one optimizer."""
    if clip is None or isinstance(clip, Policy):
        return clip
    return clip() if callable(clip) else False
