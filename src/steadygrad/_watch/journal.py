"""What is kept and said of a watched process: its recording, and the few lines on stderr."""

import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from multiprocessing.util import Finalize
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from .._i18n import say
from .._readback import read_array
from .._recorded import again
from ..errors import SteadygradError
from ..guard import Incident, Raised
from ..records import Action, Alarm, Observation, OptimizerInfo, Sink, StepRecord, describe
from ..store import Recorder, append_event, recording_path
from ..store.batches import save_batch
from .pending import Pending
from .session import Session
from .words import told

QUIET = frozenset({"scaler-skip", "roll-back", "stop"})
"""Actions that are no news, or that are told in full where they are done."""

MOST_INCIDENTS = 64
"""Incidents kept with the facts of a run: the latest."""


class Home(Protocol):
    """Where a watcher keeps its records and speaks to people."""

    def folder(self) -> Path | None:
        """The run folder, made if need be; None when nothing is to be recorded. May raise `SteadygradError`."""
        ...

    def say(self, line: str) -> None:
        """One line for people."""
        ...


class Journal:
    """Keeps the records of one process, if there is anywhere to keep them, and says aloud what people must know.

    Args:
        mode: "observe", "protect" or "repair".
        home: where records go.
    """

    def __init__(self, mode: str, home: Home) -> None:
        self._mode = mode
        self._home = home
        self.folder: Path | None = None
        self._sink: Sink | None = None
        self._intervened = False
        self._incidents: list[dict[str, Any]] = []
        self._found_nonfinite = False
        self._started = time.perf_counter()

    def open(self, rank: int, at_exit: Callable[[], None]) -> None:
        """Begin the recording; without one the watching goes on."""
        try:
            folder = self._home.folder()
            if folder is not None:
                self.folder = folder
                self._sink = Recorder(recording_path(folder, rank), self._home.say)
                # Children of `multiprocessing` leave without running `atexit`.
                Finalize(None, at_exit, exitpriority=0)
        except SteadygradError as error:
            if self.folder is not None:
                append_event(self.folder, "interrupted", error=str(error))
            self.folder = None
            self._home.say(say("recording is off, protection is on: {error}", error=again(str(error))))

    def announce(self, session: Session, rank: int, world_size: int) -> None:
        """Say once what is watched."""
        if self._sink is not None:
            self._sink.facts({"world_size": world_size, "torch": torch.__version__, "python": sys.version.split()[0]})
        if rank == 0:
            told = {"tensors": describe(session.info.tensors), "mode": self._mode}
            if self.folder is not None:
                self._home.say(say("watching {tensors} ({mode}), run at {folder}", folder=self.folder, **told))
            else:
                self._home.say(say("watching {tensors} ({mode})", **told))
            if session.sharded:
                self._home.say(say("parameters are sharded across ranks: only the loss is watched, nothing is changed"))

    def step(self, pending: Pending) -> None:
        """A step is over: its numbers, its alarms, what was done to it."""
        session, ruling, reading = pending.session, pending.ruling, pending.reading
        norm = reading.norm
        bad = not math.isfinite(norm) or (pending.loss is not None and not math.isfinite(pending.loss))
        if bad and ruling.action != "scaler-skip":
            self._first_nonfinite(pending)
        where = self._where(pending)
        self.alarms(session, ruling.alarms, where)
        if ruling.action:
            self.action(session, ruling.action, {**ruling.detail, **where})
        coefficient = 1.0 if ruling.lost else ruling.coefficient
        record = StepRecord(
            optimizer=session.index,
            step=session.step,
            time=time.time(),
            loss=pending.loss,
            lr=pending.lr,
            grad_norm=norm,
            clipped_norm=norm * coefficient,
            coefficient=coefficient,
            action=ruling.action,
        )
        if self._sink is not None:
            self._sink.step(record, reading.blob())

    def alarms(self, session: Session, alarms: Sequence[Raised], where: Mapping[str, Any]) -> None:
        """Alarms about this step, or about one some steps ago."""
        for raised in alarms:
            session.sampler.alarmed(session.step)
            if self._sink is not None:
                detail = raised.detail if raised.late else {**raised.detail, **where}
                self._sink.alarm(Alarm(session.index, session.step - raised.late, raised.detector, detail))

    def action(self, session: Session, action: str, detail: Mapping[str, Any]) -> None:
        """Something was done; said aloud the first time."""
        if self._sink is not None:
            self._sink.action(Action(session.index, session.step, action, dict(detail)))
        if action in QUIET:
            return
        if not self._intervened:
            self._intervened = True
            self._home.say(
                say(
                    "step {step}: {what}; what follows is recorded, not printed",
                    step=session.step,
                    what=told(action, detail),
                )
            )
        streak = session.lost_in_a_row
        if action in {"skip", "hold"} and streak in {10, 100, 1000, 10_000}:
            self._home.say(
                say(
                    "step {step}: {count} steps in a row could not be made: this run needs a change",
                    step=session.step,
                    count=streak,
                )
            )

    def incident(self, session: Session, incident: Incident) -> None:
        """An incident has begun or ended."""
        told = {**asdict(incident), "detail": dict(incident.detail), "until": session.step}
        same = [each for each in self._incidents if (each["optimizer"], each["step"]) != (session.index, incident.step)]
        self._incidents = [*same, told][-MOST_INCIDENTS:]
        if self._sink is not None:
            self._sink.facts({"incidents": self._incidents})

    def observations(self, seen: Sequence[Observation]) -> None:
        """What a close look has shown."""
        for each in seen:
            if self._sink is not None:
                self._sink.observation(each)

    def batch(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        """The samples of a batch, because the user wants them."""
        if self.folder is not None:
            path = save_batch(self.folder, step, {name: read_array(each) for name, each in tensors.items()})
            self._home.say(say("step {step}: its batch is kept in {path}", step=step, path=path))

    def flush(self) -> None:
        """Let readers see what is known by now."""
        if isinstance(self._sink, Recorder):
            self._sink.flush()

    def stopped(self, reason: str) -> None:
        """The run is being stopped."""
        if self._sink is not None:
            self._sink.facts({"stopped": reason})

    def _where(self, pending: Pending) -> dict[str, Any]:
        if math.isfinite(pending.reading.norm):
            return {}
        names = pending.session.nonfinite_names(pending.reading.norms)
        pending.session.last_where = ", ".join(names[:2]) or pending.session.last_where
        return {"tensors": names} if names else {}

    def _first_nonfinite(self, pending: Pending) -> None:
        if self._found_nonfinite or self._sink is None:
            return
        self._found_nonfinite = True
        session, loss = pending.session, pending.loss
        if loss is not None and not math.isfinite(loss):
            found = {"step": session.step, "phase": "forward", "where": "loss", "op": None, "shape": []}
        else:
            place = int(np.flatnonzero(~np.isfinite(pending.reading.norms))[-1])
            tensor = session.info.tensors[place]
            found = {
                "step": session.step,
                "phase": "backward",
                "where": tensor.name,
                "op": None,
                "shape": list(tensor.shape),
            }
        self._sink.facts({"first_nonfinite": found})

    def overhead(self, spent: float) -> None:
        """What the watching has cost so far, in seconds."""
        if self._sink is not None:
            elapsed = max(1e-9, time.perf_counter() - self._started)
            self._sink.facts({"overhead": {"seconds": spent, "fraction": spent / elapsed}})

    def optimizer(self, info: OptimizerInfo) -> None:
        """What is known of an optimizer, at first and when its parameters have changed."""
        if self._sink is not None:
            self._sink.optimizer(info)

    def sample(self, session: Session, quantity: str, values: np.ndarray) -> None:
        """A vector with a value for each tensor, of this step."""
        if self._sink is not None:
            self._sink.sample(session.index, session.step, quantity, values.astype(np.float32).tobytes())

    def close(self) -> None:
        """Make the recording complete."""
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()

    def drop(self) -> None:
        """Record nothing more, complete or not."""
        self._sink = None

    @property
    def recording(self) -> bool:
        """Whether something is being recorded."""
        return self._sink is not None
