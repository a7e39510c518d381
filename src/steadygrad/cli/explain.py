"""`steadygrad explain`: what a cause is, how it is seen and what to change."""

import difflib

import click
from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from .._i18n import say
from ..diagnosis import card, cards
from ..errors import UsageError
from .findings import remedies
from .language import Spoken, lang_option


@click.command(cls=Spoken)
@click.argument("cause", required=False)
@lang_option
def explain(cause: str | None) -> None:
    """Explain a CAUSE: what goes wrong, how it is told from others, what to change. Without one, list all.

    \b
      steadygrad explain
      steadygrad explain recurrent-gain
    """
    console = Console(highlight=False)
    if cause is None:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for each in cards():
            table.add_row(each.cause, each.said().title)
        console.print(table)
        return
    found = card(cause)
    if found is None:
        near = difflib.get_close_matches(cause, [each.cause for each in cards()], 1)
        hint = say("did you mean {cause}?", cause=near[0]) if near else say("steadygrad explain lists all causes")
        raise UsageError(say("no cause is called {cause}: {hint}", cause=repr(cause), hint=hint))
    said = found.said()
    head = Text(found.cause, style="bold red")
    head.append(f"  {said.title}", style="bold")
    console.print(head)
    for part in said.meaning:
        console.print(Padding(Text(part), (1, 0, 0, 2)))
    console.print(Padding(Text(say("How it is seen: {how}", how=said.seen_in)), (1, 0, 0, 2)))
    console.print(Padding(Text(say("What to change:"), style="bold"), (1, 0, 0, 2)))
    console.print(Padding(remedies(found.remedies), (0, 0, 0, 4)))
    console.print(Padding(Text(found.reference, style="dim"), (1, 0, 0, 2)))
