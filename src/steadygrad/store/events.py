"""`processes.jsonl`: what happened to each watched process, one JSON line an event.

Lines are appended with O_APPEND in one write, so that processes need no lock between them.
"""

import json
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

FILE = "processes.jsonl"


@dataclass(frozen=True, slots=True)
class Event:
    """Something that a process said of itself: `attached` (torch is there), `backward` (the first), `absent` (no
    steadygrad), `off`, `remedied` (what was applied from outside, and how often it has changed anything),
    `interrupted` and `resumed` (the recording), `detached` (an error of ours), `exit`."""

    name: str
    pid: int
    time: float
    detail: dict[str, Any] = field(default_factory=dict)


def append_event(folder: Path, name: str, **detail: Any) -> None:
    """Add one event of this process. A disk that refuses costs the event, nothing else."""
    line = {"event": name, "pid": os.getpid(), "time": time.time(), "python": sys.executable, **detail}
    try:
        handle = os.open(Path(folder) / FILE, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
        try:
            os.write(handle, (json.dumps(line) + "\n").encode())
        finally:
            os.close(handle)
    except OSError:
        pass


def read_events(folder: Path) -> list[Event]:
    """The events of a run; a torn last line is passed over."""
    try:
        text = (Path(folder) / FILE).read_text(encoding="utf-8", errors="replace")
    except OSError:
        return []
    events = []
    for line in text.splitlines():
        try:
            fields = json.loads(line)
            events.append(Event(fields.pop("event"), fields.pop("pid"), fields.pop("time"), fields))
        except (ValueError, KeyError, AttributeError):
            continue
    return events
