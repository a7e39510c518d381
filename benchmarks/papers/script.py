"""What every script of this folder does: options, a progress bar, a table, the numbers as JSON."""

import argparse
import json
import math
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table


class Script:
    """One run of one script.

    Args:
        doc: the script's docstring; its first line is the title of `--help`.
        seeds: how many by default.
        quick_seeds: how many with `--quick`.
    """

    def __init__(self, doc: str, seeds: int, quick_seeds: int = 2) -> None:
        parser = argparse.ArgumentParser(description=doc, formatter_class=argparse.RawDescriptionHelpFormatter)
        parser.add_argument("--seeds", type=_at_least_one, help=f"how many seeds (default: {seeds})")
        parser.add_argument(
            "--quick", action="store_true", help="a few steps of few seeds: shows that it works, no more"
        )
        parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers to this file too")
        self.parser = parser
        self._seeds = seeds, quick_seeds
        self._began = time.perf_counter()
        self.console = Console(highlight=False, width=None if sys.stdout.isatty() else 150)

    def parse(self) -> argparse.Namespace:
        """The options; `seeds` is filled in. One thread, so that the times mean something on a shared machine."""
        options = self.parser.parse_args()
        if options.seeds is None:
            options.seeds = self._seeds[options.quick]
        self._options = options
        torch.set_num_threads(1)
        return options

    @contextmanager
    def progress(self, total: float) -> Iterator["Bar"]:
        """A bar on standard error, if that is a terminal."""
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn(), TimeRemainingColumn()
        console = Console(file=sys.stderr)
        options = {"redirect_stdout": False, "redirect_stderr": False, "disable": not console.is_terminal}
        with Progress(*columns, console=console, **options) as progress:
            yield Bar(progress, progress.add_task("", total=total))

    def table(self, title: str, *columns: str) -> Table:
        """A table whose first column is text and whose others are numbers."""
        table = Table(title=title, header_style="bold", title_justify="left")
        table.add_column(columns[0])
        for column in columns[1:]:
            table.add_column(column, justify="right")
        return table

    def finish(self, **numbers: Any) -> None:
        """Say how long it took, and write the JSON file."""
        seconds = time.perf_counter() - self._began
        machine = f"{platform.machine()}, torch {torch.__version__}, Python {platform.python_version()}"
        self.console.print(f"{seconds:.0f} s with one thread ({machine})")
        if self._options.json is not None:
            shown = {"machine": machine, "seconds": seconds, "seeds": self._options.seeds, "quick": self._options.quick}
            self._options.json.write_text(json.dumps(_plain({**shown, **numbers}), indent=1) + "\n")


class Bar:
    """A progress bar."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self._progress, self._task = progress, task

    def __call__(self, made: float, says: str | None = None) -> None:
        """So much more is done."""
        self._progress.update(self._task, advance=made, description=says)


def _at_least_one(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{value} is too few, expected at least 1")
    return value


def _plain(value: Any) -> Any:
    """JSON has no NaN and no infinity: those become text."""
    if isinstance(value, dict):
        return {str(key): _plain(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value
