"""`steadygrad demo`: real scripts that explode, run bare, watched, repaired, and with each cure of the field."""

import math
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .. import gallery
from .._i18n import say
from ..diagnosis import open_run, to_json
from ..errors import SteadygradError, UsageError
from ..gallery import DEMOS, Attempt, Events, Exhibit, Plan
from .findings import remedies
from .language import Spoken, lang_option
from .outputs import is_piped, require_writable, write_whole
from .summary import print_summary

SEEDS = {False: 3, True: 1}
"""Of each cure: in a whole demo, and in a quick one."""


@click.command(cls=Spoken, context_settings={"ignore_unknown_options": True, "allow_interspersed_args": True})
@click.argument("name", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[SCRIPT ARGS]...")
@click.option("--list", "list_all", is_flag=True, help="List the demos.")
@click.option("--quick", is_flag=True, help="One seed, fewer steps and runs: less than 40 seconds on two cores.")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for runs, report, picture and page.",
)
@click.option("--seed", default=0, show_default=True, help="The first seed.")
@click.option("--seeds", type=click.IntRange(min=1), help="Seeds of each cure.  [default: 3, or 1 with --quick]")
@click.option("--steps", type=click.IntRange(min=20), help="Training steps of each run.  [default: the demo's own]")
@click.option("--jobs", type=click.IntRange(min=1), default=2, show_default=True, help="Runs at a time.")
@click.option("--no-cures", is_flag=True, help="Only the script itself: bare, watched and repaired.")
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write all numbers here as JSON; - for standard output.",
)
@click.option("--show", is_flag=True, help="Print the script and end.")
@lang_option
def demo(
    name: str | None,
    arguments: tuple[str, ...],
    list_all: bool,
    quick: bool,
    out: Path,
    seed: int,
    seeds: int | None,
    steps: int | None,
    jobs: int,
    no_cures: bool,
    json_path: Path | None,
    show: bool,
) -> int:
    """Train a real model in a setting where it explodes: bare, under `steadygrad run`, and with `--mode repair`.

    Then the same with each cure of the field, under SGD and Adam: a table of what each does to the same failure.

    \b
      steadygrad demo --list
      steadygrad demo                         the language model
      steadygrad demo --quick weather
      steadygrad demo translation --corpus pairs.tsv

    What follows the name belongs to the script. Ctrl-C keeps what was measured.
    """
    if list_all:
        _print_list()
        return 0
    chosen = gallery.demo(name or DEMOS[0].name)
    script = gallery.find_example(chosen.file)
    if show:
        click.echo(script.read_text(encoding="utf-8"))
        return 0
    from ..report import require_ui

    require_ui()
    gallery.require_matplotlib()
    if json_path is not None:
        require_writable(json_path, "--json")
    _make_folder(out)
    chosen_seeds = tuple(range(seed, seed + (seeds or SEEDS[quick])))
    whole = steps or (chosen.quick if quick else chosen.steps)
    plan = Plan(chosen, script, out, chosen_seeds, whole, arguments, jobs, quick)
    exhibit = Exhibit(plan)
    told = Console(stderr=True, highlight=False)
    printed = told if is_piped(json_path) else Console(highlight=False)
    told.print(Text(f"{chosen.name}: ", style="bold").append(say(chosen.title), style="not bold"))
    told.print(Text(say(chosen.mistake), style="dim"))
    failed = None
    try:
        _run_heroes(exhibit, told)
        printed.print(_rich(gallery.heroes_table(exhibit)))
        _tell(exhibit, told)
        if not no_cures:
            _run_cures(exhibit, told)
    except KeyboardInterrupt:
        exhibit.interrupted = True
    except SteadygradError as error:
        if not exhibit.grid:
            raise
        failed = error  # what was measured until then is kept
    if exhibit.grid and not no_cures:
        printed.print()
        printed.print(_rich(gallery.cures_table(exhibit)))
    swept = gallery.curve_table(exhibit)
    if swept is not None:
        printed.print()
        printed.print(_rich(swept))
    _write(exhibit, json_path, told)
    if failed is not None:
        raise failed
    return 130 if exhibit.interrupted else 0


def _print_list() -> None:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for each in DEMOS:
        table.add_row(each.name, Text(say(each.title)))
    Console(highlight=False).print(table)


def _make_folder(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            say("--out {folder}: cannot make this folder ({error})", folder=out, error=error.strerror)
        ) from None


def _run_heroes(exhibit: Exhibit, console: Console) -> None:
    """Bare, watched and repaired, with a bar each."""
    columns = (
        TextColumn("{task.description:<18}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as progress:
        names = {gallery.NOTHING: say("bare"), gallery.WATCHED: "steadygrad run", gallery.REPAIR: "--mode repair"}
        steps = exhibit.plan.steps
        bars = {cure: progress.add_task(name, total=steps, note="", start=False) for cure, name in names.items()}

        def step(attempt: Attempt, number: int, steps: int, loss: float) -> None:
            bar = bars[attempt.cure]
            if not progress.tasks[bar].started:  # starting it again would set its clock back
                progress.start_task(bar)
            style = "red" if not math.isfinite(loss) else "default"
            note = say("loss {loss:.3f}", loss=loss)
            progress.update(bar, total=steps, completed=number, note=f"[{style}]{note}[/]")

        def done(attempt: Attempt) -> None:
            progress.stop_task(bars[attempt.cure])
            _require_result(attempt, exhibit)

        exhibit.run_heroes(Events(step, done))


def _run_cures(exhibit: Exhibit, console: Console) -> None:
    """The table of cures, and the demo's sweep if it has one: a bar for all runs of each."""
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TextColumn("{task.fields[note]}"), console=console) as progress:
        bar = progress.add_task(say("cures"), total=len(exhibit.missing()), note="")

        def cured(attempt: Attempt) -> None:
            _require_result(attempt, exhibit)
            what = {"optimizer": attempt.optimizer, "cure": say(attempt.cure.title), "seed": attempt.seed}
            progress.update(bar, advance=1, note=say("{optimizer}, {cure}, seed {seed}", **what))

        exhibit.run_cures(Events(done=cured))
        curve, points = exhibit.plan.demo.curve, exhibit.sweep_points()
        if curve is None or not points:
            return
        sweep = progress.add_task(say(curve.label), total=len(points), note="")

        def swept(attempt: Attempt) -> None:
            _require_result(attempt, exhibit)
            progress.update(sweep, advance=1, note=" ".join(attempt.arguments))

        exhibit.run_sweep(Events(done=swept))


def _require_result(attempt: Attempt, exhibit: Exhibit) -> None:
    """A script that has not come to its last line has said why."""
    if attempt.status == 2:
        raise UsageError(attempt.errors.splitlines()[-1] if attempt.errors else str(attempt.status))
    if attempt.failed:
        told = {"script": exhibit.plan.script.name, "status": attempt.status, "errors": attempt.errors.strip()}
        raise SteadygradError(say("the run of {script} ended with status {status}: {errors}", **told))


def _tell(exhibit: Exhibit, console: Console) -> None:
    """What the watched run says of itself, what to change, and what was repaired."""
    watched = exhibit.hero(gallery.WATCHED)
    if watched is not None and watched.run is not None:
        summary = open_run(watched.run).summary()
        print_summary(summary, console)
        named = [name for finding in summary["findings"][:1] for name in finding["remedies"][:2]]
        if named:
            console.print(Text(say("What to change:"), style="bold"))
            console.print(remedies(named))
    repaired = exhibit.hero(gallery.REPAIR)
    if repaired is not None and repaired.run is not None:
        console.print(Text(say("With --mode repair:"), style="bold"))
        print_summary(open_run(repaired.run).summary(), console)


def _write(exhibit: Exhibit, json_path: Path | None, console: Console) -> None:
    """Picture, page, report and JSON, of what there is."""
    plan, name = exhibit.plan, exhibit.plan.demo.name
    written: list[Path] = []
    if exhibit.heroes:
        picture = plan.out / f"{name}.png"
        gallery.write_picture(exhibit, picture)
        gallery.write_thumbnail(exhibit, plan.out / f"{name}-small.png")
        written.append(picture)
    watched = exhibit.hero(gallery.WATCHED)
    if watched is not None and watched.run is not None:
        from ..report import write_report

        recorded, page, report = open_run(watched.run), plan.out / f"{name}.md", plan.out / f"{name}.html"
        write_report(recorded, report)
        gallery.write_page(exhibit, recorded.summary(), _command(plan), f"{name}.png", page)
        written += [report, page]
    if json_path is not None:
        write_whole(json_path, to_json(exhibit.to_dict()) + "\n")
        written += [] if is_piped(json_path) else [json_path]
    for path in written:
        console.print(Text(f"  {path}", style="dim"))


def _command(plan: Plan) -> str:
    """The command line that makes the same numbers."""
    demo, words = plan.demo, ["steadygrad demo"]
    if plan.quick:
        words.append("--quick")
    if len(plan.seeds) != SEEDS[plan.quick]:
        words.append(f"--seeds {len(plan.seeds)}")
    if plan.seeds[0]:
        words.append(f"--seed {plan.seeds[0]}")
    if plan.steps != (demo.quick if plan.quick else demo.steps):
        words.append(f"--steps {plan.steps}")
    return " ".join([*words, demo.name, *plan.arguments])


def _rich(cells: gallery.Table) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for place, name in enumerate(cells.header):
        table.add_column(name, justify="right" if place else "left", no_wrap=not place)
    for place, row in enumerate(cells.rows):
        styled = [Text(cell, style=_style(cells, place, column)) for column, cell in enumerate(row)]
        table.add_row(*styled)
    return table


def _style(cells: gallery.Table, row: int, column: int) -> str:
    if (row, column) in cells.bad:
        return "red"
    return "bold green" if (row, column) in cells.best else ""
