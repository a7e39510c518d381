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
from ..remedies import REMEDIES, Remedy, remedy
from .findings import remedies
from .language import Spoken, lang_option


@click.command(cls=Spoken)
@click.argument("name", required=False)
@click.option("--remedies", "list_remedies", is_flag=True, help="List the remedies in place of the causes.")
@lang_option
def explain(name: str | None, list_remedies: bool) -> None:
    """Explain a cause or a remedy by its NAME: what goes wrong, how it is told from others, what to change. Without
    one, list all.

    \b
      steadygrad explain
      steadygrad explain recurrent-gain
      steadygrad explain --remedies
      steadygrad explain warm-up
    """
    console = Console(highlight=False)
    if list_remedies:
        console.print(remedies([each.id for each in REMEDIES]))
        return
    if name is None:
        table = Table.grid(padding=(0, 2))
        table.add_column(style="bold", no_wrap=True)
        table.add_column(overflow="fold")
        for each in cards():
            table.add_row(each.cause, each.said().title)
        console.print(table)
        return
    found = card(name)
    if found is None and remedy(name).change:
        _print_remedy(remedy(name), console)
        return
    if found is None:
        names = [each.cause for each in cards()] + [each.id for each in REMEDIES]
        near = difflib.get_close_matches(name, names, 1)
        hint = say("did you mean {cause}?", cause=near[0]) if near else say("steadygrad explain lists all causes")
        raise UsageError(say("no cause is called {cause}: {hint}", cause=repr(name), hint=hint))
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


def _print_remedy(found: Remedy, console: Console) -> None:
    console.print(remedies([found.id]))
    if found.removes:
        console.print(Padding(Text(say("Takes away: {causes}", causes=", ".join(found.removes))), (1, 0, 0, 2)))
    if found.outside:
        options = ",".join(f"{name}={value}" for name, value in found.options.items())
        words = found.id + (f":{options}" if options else "")
        console.print(Padding(Text(f"steadygrad run --remedy {words} train.py", style="dim"), (1, 0, 0, 2)))
