"""A recorded run together with what is said of it: the object `sg.open_run` returns."""

from functools import cached_property
from pathlib import Path
from typing import Any

from ..findings import Finding
from ..store import Run
from ..store import open_run as open_recorded
from .diagnose import diagnose
from .summary import summarize
from .verdict import judge


class JudgedRun(Run):
    """A recorded run with its verdict, findings and summary."""

    @cached_property
    def verdict(self) -> str:
        """One word of `VERDICTS`."""
        return judge(self).verdict

    def findings(self) -> tuple[Finding, ...]:
        """The causes of what went wrong, the best supported first; none where nothing did."""
        return diagnose(self)

    def summary(self) -> dict[str, Any]:
        """The object that `--json` writes, schema `steadygrad.run/1`."""
        return summarize(self)


def open_run(folder: str | Path) -> JudgedRun:
    """Open a recorded run, also while it is being written. Needs no torch.

    Args:
        folder: the run folder.

    Returns:
        The run.

    Raises:
        NotARun: the folder holds no run.
        RunTooNew: a later version recorded it.
    """
    return JudgedRun(open_recorded(folder).folder)
