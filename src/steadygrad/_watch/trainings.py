"""The trainings of a process: a `Session` for each optimizer, from its first step until the optimizer is gone."""

import functools
import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from contextlib import nullcontext
from types import FrameType
from typing import Any

from torch import nn
from torch.optim import Optimizer

from .. import _dist
from .._i18n import say
from .._readback import read_step
from .._snapshot import Room, TrainingParts, TrainingSnapshot
from .._tap import UPDATES, ByHand, LossTap, ScalerTap
from ..store import MAX_OPTIMIZERS
from .examiner import Examiner
from .journal import Home, Journal
from .mending import Mending
from .owners import Owners
from .session import Session
from .settings import Settings

SCHEMA = "steadygrad.watch/1"
"""Of the watcher's state in a checkpoint."""


class Trainings:
    """Knows the session of each optimizer.

    Args:
        settings: what the watcher was asked for.
        home: where people are spoken to.
        owners: knows whose parameters they are.
        examiner: keeps what an examination of a training needs.
        losses: sees the losses.
        scaler: sees the gradient scaler.
        on_end: called when the process ends.
        on_released: is told the key of an optimizer that is gone.
        on_error: is told an error of ours.
    """

    def __init__(
        self,
        settings: Settings,
        home: Home,
        owners: Owners,
        examiner: Examiner,
        losses: LossTap,
        scaler: ScalerTap,
        *,
        on_end: Callable[[], None],
        on_released: Callable[[int], None],
        on_error: Callable[[BaseException], None],
    ) -> None:
        self._settings = settings
        self._home = home
        self._owners = owners
        self._examiner = examiner
        self._losses = losses
        self._scaler = scaler
        self._on_end = on_end
        self._on_released = on_released
        self._on_error = on_error
        self._room = Room(settings.snapshot_memory)
        self._resumed: list[Mapping[str, Any]] = []
        self._lock = threading.RLock()
        self.averages: list[nn.Module] = []
        self.stateful: list[Any] = []

    def begin(self, journal: Journal, mending: Mending) -> None:
        """Begin: at first, and anew in a forked child, whose parent has the sessions."""
        self._journal = journal
        self._mending = mending
        self._sessions: dict[int, Session] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Session]:
        """Each session, in the order of their first steps."""
        return iter(list(self._sessions.values()))

    def clear(self) -> None:
        """Hold nothing any more."""
        self._sessions.clear()
        self.averages.clear()
        self.stateful.clear()

    def known(self, optimizer: Optimizer) -> Session | None:
        """The session of an optimizer that has stepped."""
        return self._sessions.get(id(optimizer))

    def optimizers(self) -> dict[int, Optimizer | None]:
        """Each optimizer by the number of its session, as far as it is alive."""
        return {session.index: session.ref() for session in self}

    def acts_on(self, session: Session) -> bool:
        """Whether a training is protected: not what is only observed."""
        return self._settings.acts and not session.sharded and not session.observed

    def parts(self, session: Session, optimizer: Optimizer) -> TrainingParts:
        """What a training consists of."""
        return session.parts(optimizer, self.averages, self._scaler.scaler, self.stateful)

    def settled(self) -> bool:
        """Whether no incident is open and the last alarm is some steps ago."""
        return all(session.recovery.settled for session in self)

    def newest_snapshot(self, optimizer: Optimizer) -> TrainingSnapshot | None:
        """The newest proven state of an optimizer's training."""
        session = self.known(optimizer)
        return None if session is None else session.recovery.ring.newest()

    def session(self, optimizer: Optimizer, frame: FrameType | None) -> Session:
        """The session of an optimizer that is about to step; begun with its first step."""
        with self._lock:
            session = self.known(optimizer)
            if session is None or session.ref() is not optimizer:
                return self._begun(optimizer, frame)
            if session.refresh(optimizer, frame):
                self._journal.optimizer(session.info)
            return session

    def _begun(self, optimizer: Optimizer, frame: FrameType | None) -> Session:
        rank, world_size = _dist.world()
        apart = world_size > 1 and self._settings.snapshot_memory is None
        if not self._count:
            self._journal.open(rank, self._on_end)
            if apart:
                self._room = Room(0)  # what is free differs from rank to rank, and they must go back alike
        session = Session(
            self._count,
            optimizer,
            frame,
            find_roots=self._owners.roots,
            early=self._owners.kept(optimizer),
            clip=self._settings.policy(),
            alone=world_size == 1,
            room=self._room,
            snapshot_every=self._settings.snapshot_every,
            for_good=self._settings.mends,
            say=self._home.say,
            on_cleared=functools.partial(self._cleared, id(optimizer)),
            on_error=self._on_error,
        )
        self._sessions[id(optimizer)] = session
        weakref.finalize(optimizer, self._release, id(optimizer)).atexit = False
        self._count += 1
        self._journal.optimizer(session.info)
        self._examiner.begin(session, optimizer, self._room, frame)
        if session.by_hand:
            session.step = UPDATES  # those by which it was seen what the script does
            for loss in read_step([], 0, 0.0, self._losses.earlier())[1]:
                session.stall.begin(loss)
        if self._count == MAX_OPTIMIZERS + 1:
            self._home.say(
                say("more than {count} optimizers: the others are watched, but not recorded", count=MAX_OPTIMIZERS)
            )
        if self._count == 1:
            self._journal.announce(session, rank, world_size)
            if self._settings.acts and rank == 0 and apart and not session.sharded:
                self._home.say(
                    say("no snapshots: on several ranks they need a snapshot_memory that is the same on all")
                )
        self._resume(session, optimizer)
        if self._settings.acts and not session.observed:
            session.carried.learn()
            if not session.sharded:
                self._begin_recovery(session, optimizer)
        return session

    def _begin_recovery(self, session: Session, optimizer: Optimizer) -> None:
        """The state that a training begins with is the first to go back to."""
        parts = self.parts(session, optimizer)
        if not isinstance(optimizer, ByHand):
            session.recovery.begin(session.step, parts, session.names)
            return
        # Some steps are made already. Where a script may remember more than its weights, they cannot be taken back.
        with optimizer.begun() if optimizer.plain else nullcontext():
            session.recovery.begin(0 if optimizer.plain else session.step, parts, session.names)
        session.recovery.moved_on = session.recovery.trained = optimizer.plain

    def state_dict(self) -> dict[str, Any]:
        """What is known of each optimizer, in the order of their first steps."""
        known = [{**session.state_dict(), **self._mending.state_of(session)} for session in self]
        return {"schema": SCHEMA, "optimizers": known or self._resumed}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`: each optimizer that has stepped already now, the others at their first step."""
        if state.get("schema") != SCHEMA:
            raise ValueError(f"state has schema {state.get('schema')!r}, expected {SCHEMA!r}")
        self._resumed = list(state["optimizers"])
        for session in self:
            optimizer = session.ref()
            if optimizer is not None and session.index < len(self._resumed):
                self._resume(session, optimizer)
                if self.acts_on(session):
                    session.recovery.ring.clear()
                    session.recovery.begin(session.step, self.parts(session, optimizer), session.names)

    @property
    def were_repaired(self) -> bool:
        """Whether what was loaded knows of remedies."""
        return any(each.get("repairs", {}).get("repairs") for each in self._resumed)

    def _resume(self, session: Session, optimizer: Optimizer) -> None:
        """Go on from the state that was loaded for an optimizer, if one was."""
        if session.index >= len(self._resumed):
            return
        state = self._resumed[session.index]
        session.load_state_dict(state)
        if state.get("repairs") is not None:
            self._mending.resume(session, optimizer, state["repairs"])

    def let_go(self) -> None:
        """The watching ends: nothing of ours stays at what the script has."""
        for session in self:
            session.carried.disarm()
            session.loads.remove()
            session.recovery.rate.restore()

    def _release(self, key: int) -> None:
        """An optimizer is gone: let go of its parameters and modules."""
        session = self._sessions.get(key)
        if session is not None and session.ref() is None:
            session.carried.disarm()
            session.loads.remove()
            session.recovery.ring.close()
            self._journal.alarms(session, session.guard.settle(), {})
            del self._sessions[key]
        self._on_released(key)

    def _cleared(self, key: int, where: str) -> None:
        session = self._sessions.get(key)
        if session is not None:
            self._journal.action(session, "clear-carried-state", {"where": where})
