"""A run on disk: one folder, plain files, SQLite inside. Imports no torch, so that a run opens anywhere.

    runs/train-20261123-101500/
        run.json            what was started, when, and how it ended (written by the one who started it)
        processes.jsonl     one line per event of each watched process
        rank0-4711.db       the recording of one process: steps, per-tensor norms, actions, alarms

`folder` makes and names run folders, `events` is processes.jsonl, `schema` the SQL, `recorder` writes, `reader` reads.
The reader is loaded when it is first asked for: writing a run needs no numpy, and `steadygrad run` waits for none.
"""

from typing import TYPE_CHECKING, Any

from .events import Event, append_event, read_events
from .folder import RunManifest, create_run, finish_run, list_runs, read_manifest, recording_path
from .recorder import Recorder
from .schema import MAX_OPTIMIZERS

if TYPE_CHECKING:
    from .reader import ProcessRecording, Run, open_run

__all__ = [
    "MAX_OPTIMIZERS",
    "Event",
    "ProcessRecording",
    "Recorder",
    "Run",
    "RunManifest",
    "append_event",
    "create_run",
    "finish_run",
    "list_runs",
    "open_run",
    "read_events",
    "read_manifest",
    "recording_path",
]


def __getattr__(name: str) -> Any:
    if name in {"ProcessRecording", "Run", "open_run"}:
        from . import reader

        return getattr(reader, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
