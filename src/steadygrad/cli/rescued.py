"""A rescue on the terminal: the table of trials, the proven cause, the change to make."""

from rich.console import Console
from rich.padding import Padding
from rich.syntax import Syntax
from rich.table import Table
from rich.text import Text

from .._i18n import say
from ..rescue import Result
from ..trials.words import head as headline
from ..trials.words import outcome, sentences
from .findings import heading, number

STYLES = {"good": "bold green", "bad": "red", "fair": "yellow", "none": "dim"}


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
    elif result.budget_spent and not result.trials:
        head.append(say("The budget was spent before everything was tried."), style="bold yellow")
    else:
        nothing = proof is None or proof.winner is None
        style = "bold red" if nothing else "bold green" if proof and proof.cause else "bold yellow"
        head.append(headline(proof), style=style)
    console.print(head)
    console.print(Padding(_table(result), (1, 0, 1, 2)))
    if proof is None:
        return
    for line in sentences(proof, budget_spent=result.budget_spent):
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
    table = Table(box=None, padding=(0, 2, 0, 0))
    table.add_column(say("trial"), overflow="fold", min_width=30)
    table.add_column(say("steps"), justify="right")
    table.add_column(say("first loss"), justify="right")
    table.add_column(say("last loss"), justify="right")
    table.add_column(say("result"))
    mended = set() if result.proof is None else {each.number for each in result.proof.mended}
    proving = None if result.proof is None else result.proof.proving
    for trial in [*result.controls, *result.trials]:
        sound = trial.number in mended and trial.candidate is not None
        words, kind = outcome(trial, mended=sound)
        name = Text(trial.name, style="bold" if trial is proving else "" if trial.candidate else "dim")
        series = trial.series
        last = "-" if not series.known else number(series.end)
        first = "-" if not series.known else number(series.start)
        table.add_row(name, str(len(series.losses)), first, last, Text(words, style=STYLES[kind]))
    return table
