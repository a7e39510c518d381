"""The short summary of a run on the terminal."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

STYLES = {
    "healthy": "bold green",
    "recovered": "bold cyan",
    "unstable": "bold red",
    "stalled": "bold yellow",
    "stopped": "bold red",
    "crashed": "bold red",
    "unobserved": "bold yellow",
}


def print_summary(summary: Mapping[str, Any], console: Console, *, report: str | None = None) -> None:
    """Print what happened in a few lines.

    Args:
        summary: the object of `diagnosis.summarize`.
        console: where to.
        report: the path of a report that was written, if one was.
    """
    verdict = summary["verdict"]
    head = Text("steadygrad: ", style="bold")
    head.append(verdict, style=STYLES.get(verdict, "bold"))
    head.append(f" · {summary['reason']}")
    console.print(head)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    if summary["steps"]:
        rows.add_row("  steps", f"{summary['steps']} ({summary['mode']})")
        loss = summary["loss"]
        if loss["first"] is not None:
            rows.add_row("  loss", f"{_number(loss['first'])} → {_number(loss['last'])} (best {_number(loss['best'])})")
    found = summary["first_nonfinite"]
    if found:
        rows.add_row("  first non-finite", f"step {found['step']}, {found['phase']}, {found['where']}")
    counts = summary["action_counts"]
    if counts:
        rows.add_row("  actions", ", ".join(f"{count} × {name}" for name, count in counts.items()))
    if summary["steps"]:
        share = summary["overhead"]["fraction"]
        rows.add_row("  overhead", f"{summary['overhead']['seconds']:.2f} s ({100 * share:.1f} %)")
    rows.add_row("  run", summary["run"])
    if report:
        rows.add_row("  report", report)
    else:
        rows.add_row("", Text(f"steadygrad report {summary['run']}", style="dim"))
    console.print(rows)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.4g}" if math.isfinite(value) else str(value)
