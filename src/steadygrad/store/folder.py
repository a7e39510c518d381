"""Run folders: made, named, listed, and their manifest `run.json`."""

import json
import os
import time
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

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
        raise RecordingError(f"cannot write a run folder in {parent}: {error.strerror or error}") from error
    return folder


def finish_run(folder: Path, status: int | None) -> None:
    """Write into the manifest that the run has ended, and with which status."""
    manifest = read_manifest(folder)
    try:
        _write(folder, replace(manifest, status=status, ended=time.time()))
    except OSError as error:
        raise RecordingError(f"cannot write {folder / MANIFEST}: {error.strerror or error}") from error


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
        hint = "a folder of runs: name one of them" if list_runs(Path(folder)) else f"no {MANIFEST} in it"
        missing = "no such folder" if not Path(folder).exists() else hint
        raise NotARun(f"not a run folder: {folder} ({missing}; `steadygrad runs` lists runs)") from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise NotARun(f"not a run folder: {folder} ({MANIFEST} cannot be read: {error})") from None
    if family != "steadygrad.run" or not version.isdecimal():
        raise NotARun(f"not a run folder: {folder} ({MANIFEST} has schema {schema!r})")
    if int(version) > int(SCHEMA.partition("/")[2]):
        raise RunTooNew(f"{folder} has schema {schema}, this version reads {SCHEMA}: upgrade steadygrad")
    known = {name: fields[name] for name in RunManifest.__dataclass_fields__ if name in fields}
    known["command"] = tuple(known.get("command", ()))
    try:
        return RunManifest(**known)
    except TypeError as error:
        raise NotARun(f"not a run folder: {folder} ({MANIFEST} is incomplete: {error})") from None


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
    raise RecordingError(f"too many run folders named {base} in {parent}")


def _write(folder: Path, manifest: RunManifest) -> None:
    scratch = folder / f".{MANIFEST}.{os.getpid()}"
    scratch.write_text(json.dumps(asdict(manifest), indent=1) + "\n", encoding="utf-8")
    scratch.replace(folder / MANIFEST)


def _safe(stem: str) -> str:
    kept = "".join(letter if letter.isalnum() or letter in "._" else "_" for letter in stem)
    return kept.strip("._")[:60] or "run"
