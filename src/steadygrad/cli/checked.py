"""The result of a check on the terminal."""

import math
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from .._i18n import say, say_count
from ..findings import CheckResult, LayerProfile

LAYERS = 24
"""Layers that are listed; of more, the ends."""


def print_check(result: CheckResult, console: Console, *, quiet: bool = False, report: Path | None = None) -> None:
    """Print findings, measurements beside their limits, and the gains of the layers.

    Args:
        result: what the check has found.
        console: where to.
        quiet: findings only.
        report: the page that was written, if one was.
    """
    head = Text("steadygrad: ", style="bold")
    head.append(say(result.verdict) if not result.findings else _count(result), style=_style(result))
    size = say("{count:,} parameters", count=result.parameters)
    head.append(f" · {result.target}, {size}, {result.seconds:.1f} s", style="dim")
    console.print(head)
    for finding in result.findings:
        console.print()
        place = f"[bold]{escape(finding.where)}[/] [dim]{finding.confidence:.0%}[/]"
        console.print(f"  [bold red]{finding.cause}[/] {place}")
        console.print(f"    {escape(finding.summary)}")
        if finding.remedies:
            console.print(Text("    " + say("try: {remedies}", remedies=", ".join(finding.remedies))))
    if quiet:
        return
    console.print()
    console.print(_measurements(result))
    if result.layers:
        console.print()
        console.print(_layers(result.layers))
    for name, reason in result.skipped.items():
        line = say("not measured: {what} ({why})", what=say(name), why=say(reason))
        console.print(Text(f"  {line}", style="dim"))
    if report is not None:
        console.print(Text("  " + say("report: {path}", path=report)))


def _count(result: CheckResult) -> str:
    return say_count("{count} finding", "{count} findings", len(result.findings))


def _style(result: CheckResult) -> str:
    return "red" if result.findings else "green"


def _measurements(result: CheckResult) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("", say("measured"), say("where")):
        table.add_column(name, overflow="fold")
    table.add_column(say("value"), justify="right", no_wrap=True)
    table.add_column(say("limit"), overflow="fold")
    for each in result.measurements:
        mark = "[yellow]![/]" if each.beyond else " "
        table.add_row(mark, each.quantity, escape(each.where), _number(each.value), escape(each.limit))
    return table


def _layers(layers: tuple[LayerProfile, ...]) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    table.add_column(say("layer"), overflow="fold")
    names = (
        *(say("weight rms"), say("rule"), say("signal in"), say("out")),
        *(say("gain"), say("gradient"), say("gain back")),
    )
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    half = LAYERS // 2
    shown = layers if len(layers) <= LAYERS else (*layers[:half], None, *layers[-half:])
    for layer in shown:
        if layer is None:
            table.add_row(say("... {count} more", count=len(layers) - 2 * half))
            continue
        values = (
            *(layer.weight_rms, layer.rule_rms, layer.input_rms, layer.output_rms),
            *(layer.gain, layer.grad_rms, layer.grad_gain),
        )
        table.add_row(escape(layer.name), *map(_number, values))
    return table


def _number(value: float | None) -> str:
    if value is None:
        return "-"
    return f"{value:.3g}" if math.isfinite(value) else str(value)
