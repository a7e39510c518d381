"""Findings on the terminal: what was measured beside its limit, what it means, what to change, and where."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._i18n import say
from .._recorded import again
from ..diagnosis import card
from ..findings import Finding, Measurement
from ..remedies import remedy


def print_findings(findings: Iterable[Finding], console: Console, *, shown: int | None = None) -> None:
    """Print findings in full, the best supported first.

    Args:
        findings: ranked.
        console: where to.
        shown: how many remedies of each; None for all.
    """
    for number, finding in enumerate(findings, 1):
        console.print()
        console.print(heading(finding, number))
        about = card(finding.cause)
        if about is not None:
            console.print(Padding(Text(about.said().title, style="italic"), (0, 0, 0, 5)))
        console.print(Padding(Text(finding.summary), (0, 0, 0, 5)))
        table = _measured(finding.measured)
        if table.row_count:
            console.print(Padding(table, (0, 0, 0, 5)))
        if finding.evidence.get("no_replay"):
            note = say("from the records alone: the pass could not be computed again ({why})", **_why(finding))
            console.print(Padding(Text(note, style="dim"), (0, 0, 0, 5)))
        console.print(Padding(remedies(finding.remedies[:shown]), (0, 0, 0, 5)))


def heading(finding: Finding, number: int) -> Text:
    """One line: the cause, how sure, where, when, and the line of code."""
    line = Text(f"  {number}. ", style="dim")
    line.append(finding.cause, style="bold red" if number == 1 else "bold")
    line.append(f"  {finding.confidence:.0%}", style="bold")
    if finding.where:
        line.append(f"  {finding.where}")
    if finding.step is not None:
        line.append("  " + say("step {step}", step=finding.step), style="dim")
    if finding.line:
        line.append(f"  {finding.line}", style="cyan")
    if finding.proven:
        line.append("  " + say("proven"), style="bold green")
    return line


def remedies(names: Sequence[str]) -> Table:
    """Each remedy with what it is and its line of code."""
    table = Table.grid(padding=(0, 2))
    table.add_column(style="green", no_wrap=True)
    table.add_column(overflow="fold")
    for name in names:
        known = remedy(name)
        table.add_row(name, Text(known.said))
        if known.code:
            table.add_row("", Text(known.code, style="cyan"))
    return table


def number(value: float | None) -> str:
    """A number for people."""
    if value is None:
        return "-"
    return f"{value:.3g}" if math.isfinite(value) else str(value)


def _measured(measured: Sequence[Measurement]) -> Table:
    table = Table.grid(padding=(0, 2))
    for _ in range(3):
        table.add_column(style="yellow", overflow="fold")
    for each in measured:
        limit = say("limit: {limit}", limit=each.limit)
        table.add_row(escape(f"{each.quantity}, {each.where}"), number(each.value), escape(limit))
    return table


def _why(finding: Finding) -> Mapping[str, Any]:
    return {"why": again(str(finding.evidence["no_replay"]))}
