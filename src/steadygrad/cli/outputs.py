"""Files the user asked for: checked for being writable before the run, written whole or not at all after it."""

import os
import tempfile
from pathlib import Path

from .._i18n import say
from ..errors import RecordingError, UsageError


def require_writable(path: Path, option: str) -> None:
    """Make sure that a file can be made at `path`, leaving nothing behind.

    Raises:
        UsageError: it cannot.
    """
    folder = path.parent
    if path.is_dir():
        raise UsageError(say("{option} {path}: is a folder, name a file in it", option=option, path=path))
    if not folder.is_dir():
        raise UsageError(say("{option} {path}: there is no folder {folder}", option=option, path=path, folder=folder))
    try:
        handle, scratch = tempfile.mkstemp(dir=folder, prefix=".steadygrad-")
        os.close(handle)
        os.unlink(scratch)
    except OSError as error:
        told = {"option": option, "path": path, "error": error.strerror}
        raise UsageError(say("{option} {path}: cannot write there ({error})", **told)) from None


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all.

    Raises:
        RecordingError: the disk refuses.
    """
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise RecordingError(say("cannot write {path}: {error}", path=path, error=error.strerror or error)) from None
