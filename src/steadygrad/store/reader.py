"""The reading side: a run folder as numpy arrays. Works while training writes, after `kill -9`, and without torch."""

import json
import shutil
import sqlite3
import tempfile
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from .._i18n import say
from .._strict_json import lenient
from ..errors import NotARun, RecordingError, RunTooNew
from ..records import NO_GRADIENT, NOT_MEASURED, QUANTITIES, Action, Alarm, Observation, OptimizerInfo, TensorInfo
from .events import Event, read_events
from .folder import RunManifest, read_manifest
from .schema import APPLICATION_ID, MAX_OPTIMIZERS, VERSION, row_id

STEP_FIELDS = ("step", "time", "loss", "lr", "grad_norm", "clipped_norm", "coefficient")


@dataclass(frozen=True, slots=True)
class Steps:
    """The steps of one optimizer as columns of equal length; a value that is not known is NaN in `known[...]`'s sense.

    `loss_known` tells a loss that was not seen (False) from one that was NaN (True).
    """

    step: np.ndarray
    time: np.ndarray
    loss: np.ndarray
    lr: np.ndarray
    grad_norm: np.ndarray
    clipped_norm: np.ndarray
    coefficient: np.ndarray
    action: np.ndarray
    loss_known: np.ndarray

    def __len__(self) -> int:
        return len(self.step)


class ProcessRecording:
    """The recording of one process.

    Raises:
        RecordingError: the file is damaged or not ours.
        RunTooNew: a later version wrote it.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._steps: dict[tuple[int, int, int | None], Steps] = {}
        rank, pid, *_ = [*self.path.stem.removeprefix("rank").split("-"), "", ""]
        self.rank = int(rank) if rank.isdecimal() else 0
        self.pid = int(pid) if pid.isdecimal() else 0
        (application,) = self._query("PRAGMA application_id")[0]
        (version,) = self._query("PRAGMA user_version")[0]
        if application != APPLICATION_ID:
            raise RecordingError(say("{path} is not a steadygrad recording", path=self.path))
        if version > VERSION:
            raise RunTooNew(
                say(
                    "{path} is a recording of version {version}, this one reads {known}: upgrade steadygrad",
                    path=self.path,
                    version=version,
                    known=VERSION,
                )
            )

    def optimizers(self) -> tuple[OptimizerInfo, ...]:
        """The optimizers that made at least one step, in order of their first."""
        rows = self._query("SELECT idx, name, tensors FROM optimizers ORDER BY idx")
        return tuple(
            OptimizerInfo(
                idx,
                name,
                tuple(TensorInfo(n, tuple(shape), dtype) for n, shape, dtype in json.loads(tensors)),
            )
            for idx, name, tensors in rows
        )

    def step_counts(self) -> dict[int, int]:
        """How many steps each optimizer made (the last step's number + 1)."""
        top = self._query("SELECT max(id) FROM steps")[0][0]
        if top is None:
            return {}
        counts = {}
        for info in self.optimizers():
            rows = self._query(
                f"SELECT id FROM steps WHERE id % {MAX_OPTIMIZERS} = ? ORDER BY id DESC LIMIT 1",
                (info.index,),
            )
            if rows:
                counts[info.index] = rows[0][0] // MAX_OPTIMIZERS + 1
        return counts

    def steps(self, optimizer: int = 0, first: int = 0, last: int | None = None) -> Steps:
        """The scalars of the steps [first, last) of one optimizer, as they are at the first call."""
        key = (optimizer, first, last)
        if key not in self._steps:
            self._steps = {key: self._read_steps(optimizer, first, last)}
        return self._steps[key]

    def _read_steps(self, optimizer: int, first: int, last: int | None) -> Steps:
        end = 2**62 if last is None else row_id(last, 0)
        rows = self._query(
            "SELECT id, time, loss, lr, grad_norm, clipped_norm, coefficient, action FROM steps "
            f"WHERE id >= ? AND id < ? AND id % {MAX_OPTIMIZERS} = ? ORDER BY id",
            (row_id(first, 0), end, optimizer),
        )
        columns = list(zip(*rows, strict=True)) if rows else [()] * 8
        # numpy reads None and our 'nan' as NaN by itself.
        floats = [np.array(column, dtype=np.float64) for column in columns[1:7]]
        return Steps(
            np.array(columns[0], dtype=np.int64) // MAX_OPTIMIZERS,
            *floats,
            action=np.array([value or "" for value in columns[7]], dtype=object),
            loss_known=np.array([value is not None for value in columns[2]], dtype=bool),
        )

    def vectors(
        self, quantity: str, optimizer: int = 0, first: int = 0, last: int | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """A per-tensor quantity: the steps that have it, and a float32 matrix (steps x tensors)."""
        if quantity not in QUANTITIES:
            raise ValueError(f"quantity is {quantity!r}, expected one of {', '.join(QUANTITIES)}")
        end = 2**62 if last is None else row_id(last, 0)
        rows = self._query(
            f"SELECT id, data FROM {quantity} WHERE id >= ? AND id < ? AND id % {MAX_OPTIMIZERS} = ? ORDER BY id",
            (row_id(first, 0), end, optimizer),
        )
        if not rows:
            return np.zeros(0, np.int64), np.zeros((0, 0), np.float32)
        ids, blobs = zip(*rows, strict=True)
        width = max(len(blob) for blob in blobs)
        if any(len(blob) != width for blob in blobs):
            # Groups were added to the optimizer: tensors that did not exist yet had no gradient.
            absent = np.float32(NO_GRADIENT if quantity == "grad_norm" else NOT_MEASURED).tobytes()
            blobs = [blob + absent * ((width - len(blob)) // 4) for blob in blobs]
        matrix = np.frombuffer(b"".join(blobs), np.float32).reshape(len(blobs), width // 4)
        return np.array(ids, np.int64) // MAX_OPTIMIZERS, matrix

    def actions(self) -> list[Action]:
        """Everything that was done to the training, in order."""
        rows = self._query("SELECT optimizer, step, action, detail FROM actions ORDER BY seq")
        return [Action(optimizer, step, action, json.loads(detail)) for optimizer, step, action, detail in rows]

    def alarms(self) -> list[Alarm]:
        """Every alarm, in order."""
        rows = self._query("SELECT optimizer, step, detector, detail FROM alarms ORDER BY seq")
        return [Alarm(optimizer, step, detector, json.loads(detail)) for optimizer, step, detector, detail in rows]

    def observations(self) -> list[Observation]:
        """What was looked at closely, in order. Recordings of earlier versions have none."""
        if not self._query("SELECT 1 FROM sqlite_master WHERE name = 'observations'"):
            return []
        rows = self._query("SELECT optimizer, step, kind, detail FROM observations ORDER BY seq")
        return [Observation(optimizer, step, kind, lenient(json.loads(d))) for optimizer, step, kind, d in rows]

    def facts(self) -> dict[str, Any]:
        """The named facts of the process."""
        return {name: json.loads(value) for name, value in self._query("SELECT name, value FROM facts")}

    def _query(self, sql: str, arguments: tuple[Any, ...] = ()) -> list[Any]:
        try:
            with closing(_connect(self.path)) as connection:
                return connection.execute(sql, arguments).fetchall()
        except sqlite3.DatabaseError as error:
            if Path(f"{self.path}-journal").exists():
                return self._query_recovered(sql, arguments)
            raise RecordingError(say("cannot read {path}: {error}", path=self.path, error=error)) from None

    def _query_recovered(self, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
        # A process killed inside a commit leaves its journal behind. Rolling it back writes, so it is done on a copy:
        # the run may lie on a read-only disk, and reading a run never changes it.
        with tempfile.TemporaryDirectory(prefix="steadygrad-") as scratch:
            copy = Path(scratch) / self.path.name
            try:
                shutil.copyfile(self.path, copy)
                shutil.copyfile(f"{self.path}-journal", f"{copy}-journal")
                with closing(sqlite3.connect(copy, timeout=5)) as connection:
                    return connection.execute(sql, arguments).fetchall()
            except (OSError, sqlite3.DatabaseError) as error:
                raise RecordingError(say("cannot read {path}: {error}", path=self.path, error=error)) from None


class Run:
    """A recorded run: its manifest, and one recording for each process that made an optimizer step."""

    def __init__(self, folder: Path) -> None:
        self.folder = Path(folder)
        self.manifest: RunManifest = read_manifest(self.folder)

    def __repr__(self) -> str:
        return f"Run({str(self.folder)!r})"

    @cached_property
    def recordings(self) -> tuple[ProcessRecording, ...]:
        """The processes' recordings, the main one first: the lowest rank, then the one with the most steps."""
        found = [ProcessRecording(path) for path in sorted(self.folder.glob("rank*.db"))]
        found = [recording for recording in found if recording.step_counts()]
        return tuple(sorted(found, key=lambda r: (r.rank, -max(r.step_counts().values(), default=0))))

    @property
    def main(self) -> ProcessRecording | None:
        """The recording of the lowest rank with the most steps; None when no step was seen."""
        return self.recordings[0] if self.recordings else None

    def events(self) -> list[Event]:
        """What the watched processes said of themselves."""
        return read_events(self.folder)


def open_run(folder: str | Path) -> Run:
    """Open a recorded run, also while it is being written.

    Args:
        folder: the run folder.

    Raises:
        NotARun: the folder holds no run.
        RunTooNew: a later version recorded it.
    """
    path = Path(folder)
    if path.is_file():
        raise NotARun(say("not a run folder: {path} is a file; name the folder that holds run.json", path=path))
    return Run(path)


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=5)
