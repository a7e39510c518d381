"""A report on disk: whole or not at all."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from .._i18n import say
from .._view import build_page
from ..errors import RecordingError
from ..findings import CheckResult
from ..records import RangeTest
from ..store import Run, open_run
from ..trials import Proof, Trial
from .extra import require_ui


def write_report(
    run: Run | RangeTest | CheckResult | str | Path, path: str | Path, *, summary: Mapping[str, Any] | None = None
) -> Path:
    """Write the report of a recorded run, of a check or of a range test, as one self-contained HTML file.

    Args:
        run: a recorded run or its folder, which may still be being written; or what `sg.check` has returned; or the
            record of a range test.
        path: the file to write; an existing one is replaced at once, never left half written.
        summary: the run's summary where it is known already, see `diagnosis.summarize`.

    Returns:
        The path of the file.

    Raises:
        MissingExtra: bokeh or jinja2 is not installed.
        NotARun: the folder holds no run.
        RecordingError: the recording cannot be read, or the file cannot be written.

    Example:
        >>> write_report("runs/train-20261123-101500", "report.html")  # doctest: +SKIP
        PosixPath('report.html')
    """
    require_ui()
    if isinstance(run, RangeTest):
        from .range_test import render_range_test

        text = render_range_test(run)
    elif isinstance(run, CheckResult):
        from .check import render_check

        text = render_check(run)
    else:
        from .html import render

        text = render(build_page(run if isinstance(run, Run) else open_run(run), summary))
    return _written(Path(path), text)


def write_trials(
    path: str | Path,
    title: str,
    controls: Sequence[Trial],
    trials: Sequence[Trial],
    proof: Proof,
    change: Mapping[str, Any] | None = None,
) -> Path:
    """Write the page of some trials, as one self-contained HTML file.

    Args:
        path: the file to write; an existing one is replaced at once.
        title: what was tried.
        controls: runs without a change.
        trials: with one change each.
        proof: what they have shown.
        change: what to change in the code: `says`, `code`, `line` and `diff`.

    Returns:
        The path of the file.

    Raises:
        MissingExtra: bokeh or jinja2 is not installed.
        RecordingError: the file cannot be written.
    """
    require_ui()
    from .trials import render_trials

    return _written(Path(path), render_trials(title, controls, trials, proof, change))


def _written(target: Path, text: str) -> Path:
    try:
        _replace(target, text.encode("utf-8"))
    except OSError as error:
        raise RecordingError(
            say("cannot write the report {path}: {error}", path=target, error=error.strerror or error)
        ) from error
    return target


def _replace(target: Path, content: bytes) -> None:
    scratch = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        scratch.write_bytes(content)
        scratch.replace(target)
    finally:
        scratch.unlink(missing_ok=True)
