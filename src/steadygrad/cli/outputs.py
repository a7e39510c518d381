"""Files the user asked for: checked for being writable before the run, written whole or not at all after it."""

import os
import tempfile
from pathlib import Path

import click

from .._i18n import say
from ..errors import RecordingError, UsageError

STANDARD_OUTPUT = Path("-")
"""The name that stands for it, as in `--json -`."""


def require_writable(path: Path, option: str) -> None:
    """Make sure that a file can be made at `path`, leaving nothing behind.

    Raises:
        UsageError: it cannot, or it is a script, which nobody means to write over.
    """
    if is_piped(path):
        return
    folder = path.parent
    if path.suffix == ".py":
        raise UsageError(say("{option} {path}: is a script; name a file of results there", option=option, path=path))
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


def require_file(path: Path, option: str) -> None:
    """As `require_writable`, for what is looked at and not piped.

    Raises:
        UsageError: it cannot be written, or it is standard output.
    """
    if is_piped(path):
        raise UsageError(say("{option} -: is a page, not text to be piped; name a file", option=option))
    require_writable(path, option)


def is_piped(path: Path | None) -> bool:
    """Whether standard output is for what a program reads: people are told on standard error then."""
    return path == STANDARD_OUTPUT


def write_whole(path: Path, text: str) -> None:
    """Write a text file so that it is there whole or not at all; `-` is standard output.

    Raises:
        RecordingError: the disk refuses.
    """
    if is_piped(path):
        click.echo(text, nl=False)
        return
    scratch = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        scratch.write_text(text, encoding="utf-8")
        scratch.replace(path)
    except OSError as error:
        scratch.unlink(missing_ok=True)
        raise RecordingError(say("cannot write {path}: {error}", path=path, error=error.strerror or error)) from None
