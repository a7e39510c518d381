"""A rescue on the terminal: the table of trials, the proven cause, the change to make."""

import math

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .._i18n import say
from ..rescue import Result
from ..trials import Trial
from .findings import heading, number


def print_rescue(result: Result, console: Console) -> None:
    """Print what a rescue came to.

    Args:
        result: of the rescue.
        console: where to.
    """
    head = Text("steadygrad: ", style="bold")
    if result.nothing_wrong:
        head.append(say("nothing went wrong in this run: there is nothing to rescue"))
        console.print(head)
        _where(result, console)
        return
    proof = result.proof
    if result.interrupted:
        head.append(say("ended by you; this is what was measured"), style="bold yellow")
    elif proof is None or proof.winner is None:
        head.append(say("no change has mended this run"), style="bold red")
    elif proof.cause is None:
        head.append(say("a change mends this run, and says nothing of its cause"), style="bold yellow")
    else:
        head.append(say("proven: {cause}", cause=proof.cause), style="bold green")
    console.print(head)
    console.print(Padding(_table(result), (1, 0, 1, 2)))
    if proof is None:
        return
    for line in _words(result):
        console.print(Padding(Text(line), (0, 0, 0, 2)))
    for place, finding in enumerate(proof.findings[:3], 1):
        console.print(heading(finding, place))
        console.print(Padding(Text(finding.summary), (0, 0, 0, 5)))
    if result.change is not None:
        console.print()
        where = f"  {result.change.line}" if result.change.line else ""
        console.print(Text("  " + say("change: {what}", what=result.change.says) + where, style="bold"))
        if result.change.diff:
            console.print(Padding(Syntax(result.change.diff, "diff", background_color="default"), (0, 0, 0, 4)))
        else:
            console.print(Padding(Text(result.change.code, style="cyan"), (0, 0, 0, 4)))
    _where(result, console)


def _where(result: Result, console: Console) -> None:
    console.print(Text("  " + say("run {run}", run=result.run), style="dim"))


def _table(result: Result) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2))
    table.add_column(say("trial"), overflow="fold", min_width=32)
    table.add_column(say("steps"), justify="right")
    table.add_column(say("first loss"), justify="right")
    table.add_column(say("last loss"), justify="right")
    table.add_column(say("result"))
    mended = set() if result.proof is None else {each.number for each in result.proof.mended}
    proving = None if result.proof is None else result.proof.proving
    for trial in [*result.controls, *result.trials]:
        sound = trial.number in mended and trial.candidate is not None
        words, style = _verdict(trial, sound=sound)
        name = Text(trial.name, style="bold" if trial is proving else "" if trial.candidate else "dim")
        series = trial.series
        last = "-" if not series.known else number(series.end)
        first = "-" if not series.known else number(series.start)
        table.add_row(name, str(len(series.losses)), first, last, Text(words, style=style))
    return table


def _verdict(trial: Trial, *, sound: bool) -> tuple[str, str]:
    if sound:
        return say("sound"), "bold green"
    if trial.error:
        return trial.error, "red"
    if trial.did_nothing:
        return say("found nothing to change"), "dim"
    if trial.candidate is None and trial.number == 0:
        return say("the watched run"), "dim"
    series = trial.series
    if not math.isfinite(series.end):
        return say("not finite"), "red"
    if series.broken:
        return say("diverges"), "red"
    return (say("learns, no better than without"), "yellow") if series.learns else (say("learns nothing"), "yellow")


def _words(result: Result) -> list[str]:
    """What the table means, in sentences."""
    proof = result.proof
    assert proof is not None
    said = []
    if proof.cause is not None and proof.proving is not None:
        others = [each.name for each in proof.mended if each.candidate and proof.cause not in each.candidate.removes]
        told = {"cause": proof.cause, "remedy": proof.proving.name, "end": number(proof.proving.series.end)}
        if others:
            said.append(
                say(
                    "With {remedy} the run ends at {end}; so it does with {others}, which say less.",
                    **told,
                    others=", ".join(others),
                )
            )
        else:
            said.append(
                say("Removing {cause} ({remedy}) mends the run, which ends at {end}; nothing else does.", **told)
            )
    if proof.deterministic is False:
        said.append(say("Two runs without a change differ: the script is not deterministic, and this is less certain."))
    elif proof.deterministic:
        said.append(say("Two runs without a change are alike to the last digit: what differs is the change's doing."))
    if result.budget_spent:
        said.append(say("The budget was spent before everything was tried."))
    return said
