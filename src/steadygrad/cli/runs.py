"""`steadygrad runs`: the recorded runs in a folder."""

import sys
import time
from pathlib import Path

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._i18n import say
from ..diagnosis import open_run
from ..errors import SteadygradError, UsageError
from ..store import list_runs
from .language import Spoken, lang_option
from .summary import STYLES


@click.command(cls=Spoken)
@click.argument("folder", type=click.Path(path_type=Path), default=Path("runs"))
@lang_option
def runs(folder: Path) -> None:
    """List the runs recorded in FOLDER (default: runs), oldest first."""
    if not folder.is_dir():
        raise UsageError(say("no such folder: {folder} (a run makes it: steadygrad run train.py)", folder=folder))
    found = list_runs(folder)
    if not found:
        click.echo(say("no runs in {folder}", folder=folder))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    for name in (say("run"), say("started"), say("mode")):
        table.add_column(name, overflow="fold")
    table.add_column(say("steps"), justify="right", overflow="fold")
    for name in (say("verdict"), say("loss")):
        table.add_column(name, overflow="fold")
    table.add_column(say("first alarm"), justify="right", overflow="fold")
    for path in found:
        table.add_row(*_row(path))
    Console(highlight=False, width=None if sys.stdout.isatty() else 160).print(table)


def _row(path: Path) -> list[str | Text]:
    try:
        summary = open_run(path).summary()
        manifest = open_run(path).manifest
    except SteadygradError as error:
        return [path.name, "", "", "", Text(say("unreadable"), style="bold red"), str(error), ""]
    running = manifest.status is None
    verdict = Text(say(summary["verdict"]), style=STYLES.get(summary["verdict"], ""))
    if running:
        verdict.append(" " + say("(not ended)"), style="dim")
    loss = summary["loss"]
    first, last = loss["first"], loss["last"]
    return [
        path.name,
        time.strftime("%Y-%m-%d %H:%M", time.localtime(manifest.created)),
        summary["mode"],
        str(summary["steps"]),
        verdict,
        "" if first is None else f"{first:.4g} → {last:.4g}",
        "" if summary["first_alarm_step"] is None else str(summary["first_alarm_step"]),
    ]
