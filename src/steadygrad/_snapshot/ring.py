"""The snapshots of one optimizer: within a memory limit, at a bounded cost, and trusted only once they are proven."""

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from .._clock import own_seconds
from .._i18n import say
from .room import Room
from .training import TrainingParts, TrainingSnapshot

QUARANTINE = 16
"""Sound steps after a snapshot that prove it: a detector may be late by less than that."""

SHARE = 0.0075
"""The part of training time that taking snapshots may cost."""

SHORTEST = 16
LONGEST = 4_096
"""Steps between two snapshots, at least and at most."""

FIXED = 64
"""Steps between two where every rank must take them at the same steps, whatever its clock says."""

SLOTS = 4
"""Snapshots at the most: one in quarantine, and proven ones of different ages."""

MORE = 8
"""The same where all of them take no more than `SMALL`: a drift is seen late, and asks for one of a certain age."""

SMALL = 64 << 20
"""Bytes."""

FEWEST = 2
"""With fewer, taking a new one would leave nothing proven."""

OLDEST = 8_192
"""Age in steps beyond which the oldest goes first."""


class SnapshotRing:
    """Keeps the newest proven snapshot and some older ones; ages grow from one to the next.

    A snapshot is young until `QUARANTINE` steps have followed without an incident, and is dropped when one comes
    before: the damage may have been done already when it was taken.

    Args:
        room: the memory for the snapshots of all optimizers.
        every: steps between two, at least `SHORTEST`; None: by their cost.
        by_clock: choose the interval by what a snapshot costs, rather than by step numbers alone.
        on_off: told why there will be no snapshots.
    """

    def __init__(
        self,
        room: Room | None = None,
        *,
        every: int | None = None,
        by_clock: bool = True,
        on_off: Callable[[str], None] | None = None,
    ) -> None:
        self._room = Room() if room is None else room
        self._every = every
        self._by_clock = by_clock
        self._on_off = on_off
        self._proven: list[TrainingSnapshot] = []
        self._young: TrainingSnapshot | None = None
        self._spare: TrainingSnapshot | None = None
        self._slots = SLOTS
        self._next_at = 0
        self._last: tuple[int, float] | None = None
        self._size = 0
        self._costs: deque[float] = deque(maxlen=3)
        self.off = False
        self.seconds = 0.0

    @property
    def steps(self) -> list[int]:
        """The steps of the proven snapshots, oldest first."""
        return [snapshot.step for snapshot in self._proven]

    def due(self, step: int) -> bool:
        """Whether a snapshot is to be taken after so many steps."""
        return not self.off and step >= self._next_at and self._young is None

    def take(
        self,
        step: int,
        parts: TrainingParts,
        guard_state: Any = None,
        *,
        proven: bool = False,
        loss: float | None = None,
        began: float | None = None,
    ) -> None:
        """Take one; `proven` is for the state that a training starts from, `began` says since when it costs time."""
        started = own_seconds() if began is None else began
        if not self._fits(parts):
            return
        snapshot = self._slot(step)
        try:
            snapshot.take(step, parts, guard_state)
        except (MemoryError, RuntimeError) as error:  # torch raises both when memory has run out
            self.close()
            if self._on_off is not None:
                why = str(error).splitlines()[0][:200]
                self._on_off(say("snapshots are off: {why}; this run cannot be rolled back", why=why))
            return
        snapshot.given, snapshot.loss = proven, loss
        if proven:
            self._proven.append(snapshot)
        else:
            self._young = snapshot
        now = own_seconds()
        self.seconds += now - started
        self._plan(step, now - started, now)

    def sound(self, step: int) -> None:
        """This many steps have been made and all is well: what is old enough is proven."""
        if self._young is not None and step - self._young.step >= QUARANTINE:
            self._proven.append(self._young)
            self._young = None

    def distrust(self, onset: int) -> None:
        """An incident began at step `onset`: what was taken shortly before or since is not trusted."""
        self.drop_after(onset - QUARANTINE)

    def drop_after(self, step: int) -> None:
        """What was taken after this step is not trusted; what was taken until then is, whatever came shortly after."""
        if self._young is not None:
            self._spare, self._young = self._young, None
        while self._proven and not self._proven[-1].given and self._proven[-1].step > step:
            self._spare = self._proven.pop()

    def newest(self) -> TrainingSnapshot | None:
        """The newest proven snapshot."""
        return self._proven[-1] if self._proven else None

    @property
    def proven(self) -> list[TrainingSnapshot]:
        """The proven snapshots, oldest first."""
        return list(self._proven)

    def first(self) -> TrainingSnapshot | None:
        """The state that the training has begun with, as long as it is kept."""
        return self._proven[0] if self._proven and self._proven[0].given else None

    def drop_all_but_first(self) -> None:
        """What came after the first is no longer on the way."""
        while len(self._proven) > 1:
            self._spare = self._proven.pop()
        self._young = None

    def begin_with(self, snapshot: TrainingSnapshot) -> None:
        """Keep this one alone."""
        self.clear()
        self._proven.append(snapshot)

    def drop_newest(self) -> None:
        """Going back to the newest has not helped: the one before it is next."""
        if len(self._proven) > 1:
            self._spare = self._proven.pop()

    def close(self) -> None:
        """Give the memory back: the optimizer is gone."""
        self.clear()
        self.off = True
        self._room.grant(id(self), 0)

    def clear(self) -> None:
        """Forget all of them: the parameters are others now."""
        self._proven.clear()
        self._young = self._spare = None
        self._next_at = 0

    def _slot(self, step: int) -> TrainingSnapshot:
        spare, self._spare = self._spare, None
        if spare is not None:
            return spare
        if len(self._proven) < max(FEWEST, self._slots):
            return TrainingSnapshot()
        # The newest stays; of the others the one goes that is closest in age to the next older.
        ages = [max(1, step - snapshot.step) for snapshot in self._proven[:-1]]
        gaps = [math.log(OLDEST / ages[0])] + [math.log(ages[i - 1] / ages[i]) for i in range(1, len(ages))]
        return self._proven.pop(gaps.index(min(gaps)))

    def _fits(self, parts: TrainingParts) -> bool:
        # What is held may be larger than what comes next: the room is for the larger.
        size = self._size = max(1, parts.size(), self._size if self._proven else 0)
        granted = self._room.grant(id(self), max(SLOTS, min(MORE, SMALL // size)) * size)
        self._slots = granted // size
        while len(self._proven) > max(FEWEST, self._slots):
            self._spare = self._proven.pop(0)
        if self._slots >= FEWEST:
            return True
        self.off = True
        self.clear()
        self._room.grant(id(self), 0)
        if self._on_off is not None and self._room.limit:
            self._on_off(
                say(
                    "snapshots are off: two of {size:,.0f} MB do not fit into {room:,.1f} MB (snapshot_memory=); "
                    "this run cannot be rolled back",
                    size=size / 1e6,
                    room=granted / 1e6,
                )
            )
        return False

    def _plan(self, step: int, cost: float, now: float) -> None:
        # The cheapest of the last: what a busy machine adds is not what it costs.
        self._costs.append(cost)
        wait = max(SHORTEST, self._every or FIXED)
        if self._by_clock and self._every is None:
            # The first interval has no step time to go by.
            wait = SHORTEST
            if self._last is not None and step > self._last[0]:
                step_time = max(1e-6, (now - self._last[1] - cost) / (step - self._last[0]))
                wait = min(LONGEST, max(SHORTEST, math.ceil(min(self._costs) / (SHARE * step_time))))
        self._last = (step, now)
        self._next_at = step + wait
