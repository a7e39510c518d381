"""One run of the script as a trial, in a process group of its own."""

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .. import _config
from .._autostart.launch import environment
from .._i18n import say
from .._strict_json import lenient
from ..trials import Candidate, Series, Trial
from .workspace import Workspace

OUTPUT = "output.txt"
"""What a trial has printed."""

POLL = 0.05
"""Seconds between two looks at whether a trial has ended."""


@dataclass(frozen=True)
class Job:
    """What a worker needs to know to run a trial, wherever it is.

    Attributes:
        command: the script's command line.
        workspace: where it runs.
        folder: where the trial leaves its losses and its output.
        candidate: the remedy; None for a control.
        steps: after which it is over; None for the script's own end.
        timeout: seconds after which it is ended.
        threads: for torch; None for its own choice.
        number: its place.
    """

    command: tuple[str, ...]
    workspace: Workspace
    folder: Path
    candidate: Candidate | None = None
    steps: int | None = None
    timeout: float = 600.0
    threads: int | None = None
    number: int = 0


def run_job(job: Job, started: Callable[[subprocess.Popen[bytes]], None] = lambda child: None) -> Trial:
    """Run a trial to its end.

    Args:
        job: which.
        started: is told the process, so that it can be ended from outside.
    """
    job.folder.mkdir(parents=True, exist_ok=True)
    (job.folder / _config.TALLY).unlink(missing_ok=True)
    began = time.monotonic()
    chosen = job.candidate
    remedies = () if chosen is None else (_config.RemedyConfig(chosen.remedy, chosen.where, dict(chosen.options)),)
    config = _config.ChildConfig(str(job.folder.resolve()), _config.TRIAL, remedies=remedies, steps=job.steps)
    env = environment(config)
    env[_config.NO_COMPILE] = "1"  # what is compiled does not call what lies on it
    if job.threads is not None:
        env.setdefault("OMP_NUM_THREADS", str(job.threads))
    with job.workspace.place() as place, open(job.folder / OUTPUT, "wb") as output:
        command = job.workspace.moved(job.command, place)
        status = run_group(command, env, place, output.fileno(), job.timeout, started)
    return _read(job, status, time.monotonic() - began)


def end(child: "subprocess.Popen[bytes]") -> None:
    """End a trial and everything that it has started."""
    try:
        os.killpg(child.pid, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        pass


def run_group(
    command: Sequence[str],
    env: Mapping[str, str],
    place: Path,
    output: int,
    timeout: float | None,
    started: Callable[["subprocess.Popen[bytes]"], None] = lambda child: None,
) -> int | None:
    """Run a command in a process group of its own, all of which is ended with it.

    Args:
        command: the command line.
        env: its environment.
        place: its working folder.
        output: a file descriptor for what it prints; nothing can be typed into it.
        timeout: seconds; None for no limit.
        started: is told the process, so that it can be ended from outside.

    Returns:
        Its exit status; None if it took too long.

    Raises:
        OSError: it could not be started.
    """
    child = subprocess.Popen(
        command, env=env, cwd=place, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
    )
    started(child)
    try:
        return child.wait(timeout)
    except subprocess.TimeoutExpired:
        return None
    finally:
        end(child)
        child.wait()


def _read(job: Job, status: int | None, seconds: float) -> Trial:
    path = job.folder / _config.TALLY
    try:
        left = lenient(json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError):
        left = {"losses": {}, "stopped": None, "times": 0}
    several = tuple(Series(tuple(losses)) for losses in left["losses"].values())
    longest = max(several, key=lambda each: len(each.losses), default=Series(()))
    stopped = left["stopped"]
    return Trial(
        job.candidate,
        longest,
        int(left["times"]),
        seconds,
        job.steps is None or (stopped == "end" and status == 0),
        "" if stopped in ("hopeless", "enough") else _error(job, status, longest),
        job.number,
        several,
    )


def _error(job: Job, status: int | None, series: Series) -> str:
    """Why a trial is none, in a line; empty if it is one."""
    if status is None:
        return say("took longer than {seconds:.0f} s", seconds=job.timeout)
    if status:
        return _last_line(job.folder / OUTPUT) or say("ended with status {status}", status=status)
    return "" if series.losses else say("no step of a training was seen")


def _last_line(path: Path) -> str:
    """The error that a script has ended with."""
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    lines = [line for line in text.splitlines() if re.match(r"^[A-Za-z_][\w.]*(Error|Exception|Interrupt)\b", line)]
    return lines[-1][:200] if lines else ""
