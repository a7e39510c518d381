"""What is done to a training once a step is over: put right, rolled back, stopped."""

from collections.abc import Sequence

from torch.optim import Optimizer

from .._i18n import say
from .._snapshot import TrainingParts
from ..errors import TrainingDiverged
from ..guard import ENDS, Order, Raised
from .journal import Home, Journal
from .session import Session
from .words import stop_message, told


class Keeper:
    """Keeps the state of watched trainings sound, and says what it does.

    Args:
        journal: what is recorded.
        home: where people are spoken to.
    """

    def __init__(self, journal: Journal, home: Home) -> None:
        self._journal = journal
        self._home = home

    def put_right(self, session: Session, *, lost: bool) -> None:
        """After a step: buffers and carried states as they were, or kept as they are now."""
        if lost:
            restored = session.buffers.restore_()
            if restored:
                self._restored(session, restored)
            session.carried.arm()
        else:
            self._mend_running_stats(session)
            session.buffers.save()
            if session.carried.armed:
                session.carried.disarm()
        session.carried.stepped()

    def _mend_running_stats(self, session: Session) -> None:
        """What a batch, or a write from outside, has broken in batch norm's statistics is put back."""
        if session.sharded or not session.running_stats or not session.running_stats.broken():
            return
        self._restored(session, session.buffers.restore_(), "broken-buffer")

    def _restored(self, session: Session, names: Sequence[str], detector: str = "") -> None:
        """Buffers were put back; the detector that has seen what was wrong with them raises its alarm."""
        of = sorted(set(names))[:5]
        if detector:
            self._journal.alarms(session, (Raised(detector, {"of": of}),), {})
        self._journal.action(session, "restore-buffers", {"buffers": len(names), "of": of})

    def carry_out(self, session: Session, optimizer: Optimizer, parts: TrainingParts, *, lost: bool) -> None:
        """What was ordered beside the step; and after a sound one, a snapshot if it is time."""
        recovery = session.recovery
        orders, recovery.orders = recovery.orders, []
        for order in orders:
            if order.action == "roll-back":
                self._roll_back(session, order, parts)
            elif order.action == "stop":
                self._stop(session, order, parts)
            elif order.action not in ENDS:
                self._journal.action(session, order.action, order.detail)
        if not lost and not any(order.action == "roll-back" for order in orders):
            mended = recovery.made(session.step + 1, optimizer, parts, session.names)
            if mended:
                session.buffers.save()
                self._restored(session, mended, "nonfinite-buffer")

    def _roll_back(self, session: Session, order: Order, parts: TrainingParts) -> None:
        detail = session.recovery.roll_back(order, parts)
        session.forget_moves()
        session.buffers.save()
        session.carried.arm()
        session.sampler.alarmed(session.step)
        self._journal.action(session, "roll-back", detail)
        self._home.say(say("step {step}: {what}", step=session.step, what=told("roll-back", detail)))

    def _stop(self, session: Session, order: Order, parts: TrainingParts) -> None:
        """Leave the best state that is known, and say why no more steps are made."""
        detail = dict(order.detail)
        if session.recovery.ring.newest() is not None and session.recovery.moved_on:
            detail |= session.recovery.roll_back(Order("roll-back", {"reason": detail["reason"]}), parts)
        self._journal.action(session, "stop", detail)
        self._journal.stopped(detail["reason"])
        folder = self._journal.folder
        message = stop_message(session.step, detail, session.last_where, folder)
        raise TrainingDiverged(
            message,
            step=session.step,
            since=detail["since"],
            tried=tuple(detail["tried"]),
            run=None if folder is None else str(folder),
        )
