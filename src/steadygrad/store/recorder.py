"""The writing side of a recording: one process, one SQLite file, one short transaction about once a second.

Written for a training loop: nothing here may stop it or make it wait. A reader that holds the file makes a flush
wait for the next one; a disk that fails pauses the recording with one call of `on_failure`, never the training.
"""

import json
import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from .._i18n import say
from .._recorded import recorded
from .._strict_json import strict
from ..errors import RecordingError
from ..records import Action, Alarm, Observation, OptimizerInfo, StepRecord
from .events import append_event
from .schema import APPLICATION_ID, MAX_OPTIMIZERS, TABLES, VERSION, row_id, to_sql
from .tiers import Tiers

FLUSH_SECONDS = 1.0
"""How much a killed process may lose."""

URGENT_SECONDS = 0.1
"""Incidents are written at once, but no more often than this: a run that fails at every step must not crawl."""

MAX_PENDING_BYTES = 32 << 20
"""What may wait in memory while a reader holds the file or the disk is full; beyond it the oldest rows are lost."""

RETRY_SECONDS = 15.0
"""After a disk error: how long until the next try. A disk that was full for a minute must not end a month's record."""


class Recorder:
    """Receives the records of one process and keeps them in `path`.

    Args:
        path: the file to create; its folder must exist.
        on_failure: called with a message, once, when the disk refuses.

    Raises:
        RecordingError: the file cannot be created.
    """

    def __init__(self, path: Path, on_failure: Callable[[str], None]) -> None:
        self._path = path
        self._on_failure = on_failure
        self._lock = threading.RLock()
        self._pid = os.getpid()
        self._pending: deque[tuple[str, tuple[Any, ...]]] = deque()
        self._pending_bytes = 0
        self._retry_at = 0.0
        self._failed = False
        self._lost = 0
        self._facts: dict[str, str] = {}
        self._flushed = time.monotonic()
        self._steps_until_flush = 1
        self._early = 1
        self._urgent = False
        self._tiers = Tiers()
        self._connection: sqlite3.Connection | None = None
        try:
            self._connection = self._create()
        except (sqlite3.Error, OSError) as error:
            raise RecordingError(recorded("cannot record to {path}: {error}", path=path, error=error)) from error

    def optimizer(self, info: OptimizerInfo) -> None:
        """A new optimizer has made its first step."""
        tensors = json.dumps([[tensor.name, list(tensor.shape), tensor.dtype] for tensor in info.tensors])
        self._add("INSERT OR REPLACE INTO optimizers VALUES (?, ?, ?)", (info.index, info.name, tensors))

    def step(self, record: StepRecord, grad_norms: bytes) -> None:
        """One step with its per-tensor gradient norms (float32)."""
        if record.optimizer >= MAX_OPTIMIZERS:
            return
        key = row_id(record.step, record.optimizer)
        row = (
            key,
            record.time,
            to_sql(record.loss),
            to_sql(record.lr),
            to_sql(record.grad_norm),
            to_sql(record.clipped_norm),
            to_sql(record.coefficient),
            record.action or None,
        )
        self._add("INSERT OR REPLACE INTO steps VALUES (?, ?, ?, ?, ?, ?, ?, ?)", row)
        self._add("INSERT OR REPLACE INTO grad_norm VALUES (?, ?)", (key, grad_norms))
        self._tiers.seen(record.step)
        self._flush_if_due()

    def sample(self, optimizer: int, step: int, quantity: str, values: bytes) -> None:
        """A sampled per-tensor quantity: `param_norm` or `update_ratio` (float32)."""
        assert quantity in {"param_norm", "update_ratio"}
        if optimizer >= MAX_OPTIMIZERS:
            return
        self._add(f"INSERT OR REPLACE INTO {quantity} VALUES (?, ?)", (row_id(step, optimizer), values))

    def action(self, action: Action) -> None:
        """Training was changed."""
        row = (action.step, action.optimizer, action.action, _json(action.detail))
        self._add("INSERT INTO actions (step, optimizer, action, detail) VALUES (?, ?, ?, ?)", row)
        self._incident(action.step)

    def alarm(self, alarm: Alarm) -> None:
        """A detector fired."""
        row = (alarm.step, alarm.optimizer, alarm.detector, _json(alarm.detail))
        self._add("INSERT INTO alarms (step, optimizer, detector, detail) VALUES (?, ?, ?, ?)", row)
        self._incident(alarm.step)

    def observation(self, observation: Observation) -> None:
        """Something was looked at closely; written at once, for it is wanted most when the process ends next."""
        row = (observation.step, observation.optimizer, observation.kind, json.dumps(strict(observation.detail)))
        self._add("INSERT INTO observations (step, optimizer, kind, detail) VALUES (?, ?, ?, ?)", row)
        self._incident(observation.step)

    def facts(self, values: Mapping[str, Any]) -> None:
        """Named facts of the process; written with the next flush."""
        with self._lock:
            self._facts.update({name: json.dumps(value) for name, value in values.items()})

    def flush(self) -> None:
        """Write what is pending. When a reader holds the file or the disk refuses, it stays pending."""
        with self._lock:
            connection = self._connection
            if connection is None or os.getpid() != self._pid:
                return
            self._flushed = time.monotonic()
            self._urgent = False
            try:
                connection.execute("BEGIN IMMEDIATE")
                for sql, row in self._pending:
                    connection.execute(sql, row)
                connection.executemany("INSERT OR REPLACE INTO facts VALUES (?, ?)", self._facts.items())
                self._tiers.thin(connection)
                connection.execute("COMMIT")
            except (sqlite3.Error, OSError) as error:
                _roll_back(connection)
                if "locked" not in str(error):
                    self._refused(str(error))
                return
            self._pending.clear()
            self._pending_bytes = 0
            self._facts.clear()
            if self._failed and not self._lost:
                self._failed = False
                append_event(self._path.parent, "resumed")

    def close(self) -> None:
        """Write what is pending and close the file. In a forked child it only lets go: the file is its parent's."""
        with self._lock:
            if os.getpid() != self._pid:
                # Closing would drop POSIX locks that belong to the parent; the object is left to the process' end.
                self._connection = None
                return
            if self._connection is None:
                return
            for _ in range(20):  # a reader lets go within a moment
                self.flush()
                if not self._pending or self._failed:
                    break
                time.sleep(0.05)
            self._connection.close()
            self._connection = None

    def _create(self) -> sqlite3.Connection:
        # One process writes; a rollback journal keeps the recording one file that can be copied and lies on any disk.
        # `synchronous=OFF`: what is written survives the death of the process, which is what is promised.
        connection = sqlite3.connect(self._path, timeout=0, isolation_level=None, check_same_thread=False)
        connection.execute("PRAGMA synchronous=OFF")
        connection.execute(f"PRAGMA application_id={APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version={VERSION}")
        connection.executescript("BEGIN;" + TABLES + "COMMIT;")
        return connection

    def _add(self, sql: str, row: tuple[Any, ...]) -> None:
        with self._lock:
            if self._connection is None:
                return
            self._pending.append((sql, row))
            self._pending_bytes += _size(row)
            while self._pending_bytes > MAX_PENDING_BYTES:
                self._pending_bytes -= _size(self._pending.popleft()[1])
                self._lost += 1

    def _incident(self, step: int) -> None:
        self._tiers.protect(step)
        self._urgent = True

    def _flush_if_due(self) -> None:
        # The first steps are written at doubling distances: most failures are over before the first second is.
        self._steps_until_flush -= 1
        waited = time.monotonic() - self._flushed
        early = self._steps_until_flush <= 0
        if early:
            self._early = min(self._early * 2, 1_000_000_000)
            self._steps_until_flush = self._early
        urgent = self._urgent and waited >= URGENT_SECONDS
        due = early or urgent or waited >= FLUSH_SECONDS or self._pending_bytes > MAX_PENDING_BYTES // 4
        if due and time.monotonic() >= self._retry_at:
            self.flush()

    def _refused(self, reason: str) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        if not self._failed:
            self._failed = True
            append_event(self._path.parent, "interrupted", error=reason)
            self._on_failure(
                say("recording to {path} is interrupted, training goes on: {reason}", path=self._path, reason=reason)
            )


def _size(row: tuple[Any, ...]) -> int:
    """Roughly what a pending row holds in memory, in bytes."""
    return 200 + sum(len(value) for value in row if isinstance(value, (bytes, str)))


def _roll_back(connection: sqlite3.Connection) -> None:
    try:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
    except sqlite3.Error:
        pass


def _json(detail: Mapping[str, Any]) -> str:
    return json.dumps(dict(detail), default=str)
