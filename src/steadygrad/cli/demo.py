"""`steadygrad demo`: a real script that explodes, run bare and run watched, side by side."""

import math
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from .._i18n import language, later, say
from ..diagnosis import open_run, to_json
from ..errors import SteadygradError, UsageError
from ..store import list_runs
from .language import Spoken, lang_option
from .outputs import require_writable, write_whole
from .summary import print_summary

DEMOS = {"language-model": "language_model.py"}

STEP = re.compile(r"step (\d+)/(\d+)\s+loss (\S+)")
FINAL = re.compile(r"validation: loss (\S+) nats, perplexity (\S+), (\S+) bits")


@dataclass
class Outcome:
    """What one run of a demo script printed."""

    losses: list[float] = field(default_factory=list)
    perplexity: float | None = None
    bits: float | None = None
    status: int = 0
    seconds: float = 0.0
    errors: str = ""

    @property
    def first_nonfinite(self) -> int | None:
        """The first step whose loss was not finite."""
        return next((step for step, loss in enumerate(self.losses) if not math.isfinite(loss)), None)


@click.command(cls=Spoken)
@click.argument("name", type=click.Choice(sorted(DEMOS)), default="language-model")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("demo"),
    show_default=True,
    help="Folder for the run and the report.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of both runs.")
@click.option("--steps", type=click.IntRange(min=20), help="Training steps of each run; default: the script's own.")
@click.option("--json", "json_path", type=click.Path(path_type=Path), help="Write both runs' numbers here as JSON.")
@click.option("--show", is_flag=True, help="Print the script and end.")
@lang_option
def demo(name: str, out: Path, seed: int, steps: int | None, json_path: Path | None, show: bool) -> None:
    """Train a real model twice with the same seed, in a setting where it explodes: bare, and under `steadygrad run`.

    \b
      language-model   a character-level LSTM on the text that Python ships
    """
    script = find_example(DEMOS[name])
    if show:
        click.echo(script.read_text(encoding="utf-8"))
        return
    from ..report import require_ui, write_report

    require_ui()
    if json_path is not None:
        require_writable(json_path, "--json")
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            say("--out {folder}: cannot make this folder ({error})", folder=out, error=error.strerror)
        ) from None
    arguments = [str(script), "--seed", str(seed), "--log-every", "1"]
    arguments += ["--steps", str(steps)] if steps is not None else []
    console = Console(stderr=True, highlight=False)
    head = Text(f"{name}: ", style="bold")
    told = say("{script}, seed {seed}, twice: bare, then under steadygrad run", script=script, seed=seed)
    console.print(head.append(told, style="not bold"))
    with Progress(
        TextColumn("{task.description:<18}"),
        BarColumn(),
        TaskProgressColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=console,
    ) as progress:
        bare = _follow([sys.executable, *arguments], progress, say("bare"))
        before = set(list_runs(out))
        watched = _follow(
            [sys.executable, "-m", "steadygrad", "run", "--quiet", "--lang", language(), "--out", str(out), *arguments],
            progress,
            "steadygrad run",
        )
    made = [path for path in list_runs(out) if path not in before]
    for outcome, failed in (
        (bare, later("the bare run ended with status {status}: {errors}")),
        (watched, later("the watched run ended with status {status}: {errors}")),
    ):
        if outcome.status or outcome.perplexity is None:
            raise SteadygradError(say(failed, status=outcome.status, errors=outcome.errors.strip()[-800:]))
    if not made:
        raise SteadygradError(say("the watched run left no run folder in {folder}", folder=out))
    recorded = open_run(made[-1])
    page = out / f"{name}.html"
    write_report(recorded, page)
    Console(highlight=False).print(_table(bare, watched))
    print_summary(recorded.summary(), console, report=str(page))
    if json_path is not None:
        write_whole(json_path, to_json({"bare": _numbers(bare), "watched": _numbers(watched)}) + "\n")


def find_example(file: str) -> Path:
    """A demo script: beside the package in a wheel, in `examples/` of a checkout.

    Raises:
        UsageError: this installation has none.
    """
    package = Path(__file__).resolve().parent.parent
    for folder in (package / "_examples", package.parent.parent / "examples"):
        if (folder / file).is_file():
            return folder / file
    raise UsageError(
        say("this installation of steadygrad has no {file}: install it from a wheel or a checkout", file=file)
    )


def _follow(command: list[str], progress: Progress, label: str) -> Outcome:
    """Run a demo script and move a progress bar by what it prints."""
    outcome = Outcome()
    # A model this small trains as fast on one thread, and the two runs stay comparable on a busy machine.
    env = {"OMP_NUM_THREADS": "1", **os.environ}
    task = progress.add_task(label, total=None, note="")
    with tempfile.TemporaryFile("w+", encoding="utf-8") as errors:
        with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, env=env) as process:
            assert process.stdout is not None
            for line in process.stdout:
                _read(line, outcome, lambda **changes: progress.update(task, **changes))
        outcome.status = process.returncode
        errors.seek(0)
        outcome.errors = errors.read()
    outcome.seconds = progress.tasks[task].elapsed or 0.0
    progress.update(task, total=max(1, len(outcome.losses)), completed=max(1, len(outcome.losses)))
    progress.stop_task(task)
    return outcome


def _read(line: str, outcome: Outcome, update: Callable[..., Any]) -> None:
    step = STEP.search(line)
    if step:
        loss = float(step[3])
        outcome.losses.append(loss)
        style = "red" if not math.isfinite(loss) else "default"
        note = say("loss {loss:.3f}", loss=loss)
        update(total=int(step[2]), completed=len(outcome.losses), note=f"[{style}]{note}[/]")
    final = FINAL.search(line)
    if final:
        outcome.perplexity, outcome.bits = float(final[2]), float(final[3])


def _table(bare: Outcome, watched: Outcome) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("", say("bare"), "steadygrad run"):
        table.add_column(name, justify="left" if not name else "right")
    never = Text(say("never"), style="green")
    rows = {
        say("first non-finite loss at step"): [
            never if outcome.first_nonfinite is None else Text(str(outcome.first_nonfinite), style="red")
            for outcome in (bare, watched)
        ],
        say("final training loss"): [_value(outcome.losses[-1]) for outcome in (bare, watched)],
        say("validation perplexity"): [_value(outcome.perplexity) for outcome in (bare, watched)],
        say("bits per character"): [_value(outcome.bits) for outcome in (bare, watched)],
        say("seconds"): [Text(f"{outcome.seconds:.0f}") for outcome in (bare, watched)],
    }
    for name, values in rows.items():
        table.add_row(name, *values)
    return table


def _value(value: float | None) -> Text:
    if value is None or not math.isfinite(value):
        return Text(str(value), style="red")
    return Text(f"{value:.3f}")


def _numbers(outcome: Outcome) -> dict[str, Any]:
    return {
        "first_nonfinite_step": outcome.first_nonfinite,
        "final_loss": outcome.losses[-1] if outcome.losses else None,
        "perplexity": outcome.perplexity,
        "bits_per_character": outcome.bits,
        "seconds": outcome.seconds,
        "steps": len(outcome.losses),
    }
