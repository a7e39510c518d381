"""The short summary of a run on the terminal."""

import math
from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from .._i18n import later, say, say_count

PHASES = (later("data"), later("forward"), later("loss"), later("backward"), later("optimizer"))
"""Where in a step the first number that is not finite can be; recorded in English."""

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
    head.append(say(verdict), style=STYLES.get(verdict, "bold"))
    head.append(f" · {summary['reason']}")
    console.print(head)
    rows = Table.grid(padding=(0, 2))
    rows.add_column(style="dim")
    rows.add_column(overflow="fold")
    if summary["steps"]:
        rows.add_row(say("  steps"), f"{summary['steps']} ({summary['mode']})")
        loss = summary["loss"]
        if loss["first"] is not None:
            best = say("best {loss}", loss=_number(loss["best"]))
            rows.add_row(say("  loss"), f"{_number(loss['first'])} → {_number(loss['last'])} ({best})")
    found = summary["first_nonfinite"]
    if found:
        rows.add_row(say("  first non-finite"), Text(first_bad(found)))
    for place, finding in enumerate(summary["findings"][:2]):
        cause = Text(finding["cause"], style="bold red" if not place else "bold")
        cause.append(
            f"  {finding['confidence']:.0%}  {finding['where']}  {finding.get('line') or ''}", style="not bold"
        )
        rows.add_row(say("  cause") if not place else say("  or"), cause)
        rows.add_row("", Text(finding["summary"]))
        if not place and finding["remedies"]:
            rows.add_row("", Text(say("try: {remedies}", remedies=", ".join(finding["remedies"])), style="dim"))
    for each in summary["remedied"]:
        count = each["times"]
        times = say_count("{count} time", "{count} times", count) if count else say("never: nothing to change")
        rows.add_row(say("  applied"), f"{each['remedy']} ({times})")
    counts = summary["action_counts"]
    if counts:
        rows.add_row(say("  actions"), ", ".join(f"{count} × {name}" for name, count in counts.items()))
    if summary["steps"]:
        share = summary["overhead"]["fraction"]
        rows.add_row(say("  overhead"), f"{summary['overhead']['seconds']:.2f} s ({100 * share:.1f} %)")
    rows.add_row(say("  run"), summary["run"])
    if report:
        rows.add_row(say("  report"), report)
    else:
        rows.add_row("", Text(f"steadygrad report {summary['run']}", style="dim"))
    if summary["findings"]:
        rows.add_row("", Text(f"steadygrad diagnose {summary['run']}", style="dim"))
    console.print(rows)


def first_bad(found: Mapping[str, Any]) -> str:
    """The first number that was not finite, in a line: step, phase, operation, place, line of code."""
    parts = [say("step {step}", step=found["step"]), say(found["phase"])]
    parts += [str(found[key]) for key in ("op", "where") if found.get(key)]
    if found.get("shape"):
        parts.append("×".join(map(str, found["shape"])))
    if found.get("samples"):
        parts.append(say("samples {places}", places=", ".join(map(str, found["samples"]))))
    return ", ".join(parts) + (f"  {found['line']}" if found.get("line") else "")


def number_of_causes(count: int) -> str:
    """How many causes there are to tell of."""
    return say_count("{count} cause, with what speaks for it", "{count} causes, the best supported first", count)


def _number(value: float | None) -> str:
    if value is None:
        return "?"
    return f"{value:.4g}" if math.isfinite(value) else str(value)
