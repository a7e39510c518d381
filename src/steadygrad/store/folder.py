"""Run folders: made, named, listed, and their manifest `run.json`."""

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from .._i18n import say
from ..errors import NotARun, RecordingError, RunTooNew

SCHEMA = "steadygrad.run/1"
MANIFEST = "run.json"


@dataclass(frozen=True, slots=True)
class RunManifest:
    """What was started, when, and how it ended. `status` is the exit status, or minus the signal's number."""

    name: str
    mode: str
    command: tuple[str, ...]
    created: float
    status: int | None = None
    ended: float | None = None
    schema: str = SCHEMA
    extra: dict[str, Any] = field(default_factory=dict)


def create_run(parent: Path, stem: str, mode: str, command: tuple[str, ...]) -> Path:
    """Make a new run folder `parent/stem-YYYYmmdd-HHMMSS` and its manifest.

    Raises:
        RecordingError: the folder cannot be made or written.
    """
    now = time.time()
    base = f"{_safe(stem)}-{time.strftime('%Y%m%d-%H%M%S', time.localtime(now))}"
    try:
        parent.mkdir(parents=True, exist_ok=True)
        folder = _make_new(parent, base)
        _write(folder, RunManifest(name=folder.name, mode=mode, command=command, created=now))
    except OSError as error:
        raise RecordingError(
            say("cannot write a run folder in {folder}: {error}", folder=parent, error=error.strerror or error)
        ) from error
    return folder


def finish_run(folder: Path, status: int | None) -> None:
    """Write into the manifest that the run has ended, and with which status."""
    manifest = read_manifest(folder)
    try:
        _write(folder, replace(manifest, status=status, ended=time.time()))
    except OSError as error:
        raise RecordingError(
            say("cannot write {path}: {error}", path=folder / MANIFEST, error=error.strerror or error)
        ) from error


def read_manifest(folder: Path) -> RunManifest:
    """The manifest of a run folder.

    Raises:
        NotARun: there is none, or it is not ours.
        RunTooNew: a later version wrote it.
    """
    path = Path(folder) / MANIFEST
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        schema = fields["schema"]
        family, _, version = schema.partition("/")
    except FileNotFoundError:
        if not Path(folder).exists():
            missing = say("no such folder")
        elif list_runs(Path(folder)):
            missing = say("a folder of runs: name one of them")
        else:
            missing = say("no {file} in it", file=MANIFEST)
        raise NotARun(
            say("not a run folder: {folder} ({why}; `steadygrad runs` lists runs)", folder=folder, why=missing)
        ) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotARun(
            say(
                "not a run folder: {folder} ({file} cannot be read: {error})", folder=folder, file=MANIFEST, error=error
            )
        ) from None
    if family != "steadygrad.run" or not version.isdecimal():
        raise NotARun(
            say(
                "not a run folder: {folder} ({file} has schema {schema!r})", folder=folder, file=MANIFEST, schema=schema
            )
        )
    if int(version) > int(SCHEMA.partition("/")[2]):
        told = {"folder": folder, "schema": schema, "known": SCHEMA}
        raise RunTooNew(say("{folder} has schema {schema}, this version reads {known}: upgrade steadygrad", **told))
    known = {name: fields[name] for name in RunManifest.__dataclass_fields__ if name in fields}
    known["command"] = tuple(known.get("command", ()))
    try:
        return RunManifest(**known)
    except TypeError as error:
        raise NotARun(
            say("not a run folder: {folder} ({file} is incomplete: {error})", folder=folder, file=MANIFEST, error=error)
        ) from None


def recording_path(folder: Path, rank: int) -> Path:
    """The recording of this process; a second watch in one process has a second one."""
    path, count = folder / f"rank{rank}-{os.getpid()}.db", 1
    while path.exists():
        count += 1
        path = folder / f"rank{rank}-{os.getpid()}-{count}.db"
    return path


def list_runs(parent: Path) -> list[Path]:
    """The run folders directly below `parent`, oldest first."""
    try:
        found = [path.parent for path in parent.glob(f"*/{MANIFEST}")]
    except OSError:
        return []
    return sorted(found, key=lambda path: path.name.rsplit("-", 2)[-2:])


def _make_new(parent: Path, base: str) -> Path:
    for count in range(1, 10_000):
        folder = parent / (base if count == 1 else f"{base}.{count}")
        try:
            folder.mkdir()
        except FileExistsError:
            continue
        return folder
    raise RecordingError(say("too many run folders named {name} in {folder}", name=base, folder=parent))


def _write(folder: Path, manifest: RunManifest) -> None:
    scratch = folder / f".{MANIFEST}.{os.getpid()}"
    scratch.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    scratch.replace(folder / MANIFEST)


def _safe(stem: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in stem)
    return kept.strip("._")[:60] or "run"
