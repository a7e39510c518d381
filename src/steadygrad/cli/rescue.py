"""`steadygrad rescue`: prove why a script fails, by changing one thing at a time, and say what to change."""

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

import click
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from .._i18n import say
from .._strict_json import strict
from ..diagnosis import JudgedRun
from ..errors import SteadygradError, UsageError
from ..rescue import OUTPUT, RESCUE, Events, Executor, LocalExecutor, RayExecutor, Rescue, Result, Workspace
from ..trials import Trial
from .language import lang_option
from .outputs import is_piped, require_file, require_writable, write_whole
from .rescued import print_rescue
from .target import find_target
from .targeted import TARGET, Targeted


@click.command(cls=Targeted)
@click.option(
    "--budget",
    type=click.FloatRange(min=1.0),
    metavar="SECONDS",
    help="Begin no trial after so many seconds.  [default: no limit]",
)
@click.option(
    "--jobs",
    type=click.IntRange(min=1),
    help="Trials at a time.  [default: half of the cores, one where there is a GPU]",
)
@click.option("--ray", metavar="ADDRESS", help='Run the trials on a Ray cluster; "local" starts one here.')
@click.option(
    "--workdir",
    type=click.Choice(["copy", "same"]),
    default="copy",
    show_default=True,
    help="copy: each trial gets a copy of the working folder. same: all run in the folder itself.",
)
@click.option(
    "--out", type=click.Path(path_type=Path), default=Path("runs"), show_default=True, help="Folder for run folders."
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write trials and proof here as JSON; - for standard output.",
)
@click.option(
    "--report", "report_path", type=click.Path(path_type=Path), help="Write the HTML page of the trials here."
)
@click.option("--quiet", is_flag=True, help="No progress bar.")
@lang_option
@click.pass_context
def rescue(
    ctx: click.Context,
    budget: float | None,
    jobs: int | None,
    ray: str | None,
    workdir: str,
    out: Path,
    json_path: Path | None,
    report_path: Path | None,
    quiet: bool,
) -> int:
    """Prove why a script fails, and find the change that mends it. The script is not changed.

    \b
      steadygrad rescue train.py --epochs 3
      steadygrad rescue --budget 600 --jobs 4 -m package.train
      steadygrad rescue --ray auto train.py

    The script is watched once and diagnosed, and run again with one change at a time: a lower learning rate, a clip,
    other initial weights, cleared gradients, standardised inputs and so on, in the order of the diagnosis, each applied
    from outside. A run without a change beside them shows what is noise. At the end: a table of trials, the cause that
    is proven, and the change to make in your code.

    Exit status: 0 a change mends it, or nothing was wrong; 1 nothing has helped; 130 ended by Ctrl-C.
    """
    if json_path is not None:
        require_writable(json_path, "--json")
    if report_path is not None:
        require_file(report_path, "--report")
        from ..report import require_ui

        require_ui()
    target = find_target(ctx.meta[TARGET])
    here = Path.cwd()
    workspace = Workspace(here, workdir == "copy", (out.resolve(),))
    workspace.require_small()
    console = Console(stderr=True, highlight=False)
    console.print(_isolation(workspace), style="dim", markup=False)
    executor: Executor = RayExecutor(ray, jobs) if ray is not None else LocalExecutor(jobs or _default_jobs())
    threads = max(1, (os.cpu_count() or 1) // executor.jobs)
    columns = (
        TextColumn("  {task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[now]}"),
    )
    with Progress(*columns, console=console, disable=quiet or not console.is_terminal, transient=True) as progress:
        try:
            rescuing = Rescue(
                target.command,
                target.stem,
                out,
                executor,
                workspace,
                budget=budget,
                threads=threads,
                events=_events(progress),
            )
            result = rescuing.run()
        finally:
            executor.stop()
    if not result.trained and not result.interrupted:
        raise UsageError(_never_trained(result))
    text = json.dumps(strict(result.to_dict()), indent=1, allow_nan=False) + "\n"
    for path in (result.run / RESCUE, json_path):
        if path is not None:
            _guarded(path, text)
    if report_path is not None and result.proof is not None:
        from ..report import write_trials

        told = None if result.change is None else asdict(result.change)
        write_trials(report_path, target.stem, result.controls, result.trials, result.proof, told)
    print_rescue(result, Console(stderr=is_piped(json_path), highlight=False, soft_wrap=False))
    if result.interrupted:
        return 130
    return 0 if result.nothing_wrong or (result.proof and result.proof.winner) else 1


def _default_jobs() -> int:
    return 1 if shutil.which("nvidia-smi") else max(1, (os.cpu_count() or 2) // 2)


def _isolation(workspace: Workspace) -> str:
    """What trials share, said before they start."""
    if not workspace.copies:
        return say(
            "steadygrad: all trials run in {folder}: what one writes, the next one finds", folder=workspace.folder
        )
    files, size, linked = workspace.size()
    told = {"folder": workspace.folder, "files": files, "size": size / 2**20, "linked": linked}
    return say(
        "steadygrad: each trial runs in a copy of {folder} ({files} files, {size:.1f} MB; {linked} large ones are "
        "linked); what the script writes elsewhere is shared, and nothing can be typed into it",
        **told,
    )


def _events(progress: Progress) -> Events:
    task = progress.add_task(say("watching"), total=1, now="")

    def watched(run: JudgedRun) -> None:
        progress.update(task, completed=1, now=say(run.verdict))

    def planned(count: int, what: str) -> None:
        progress.reset(task, total=count, description=what, now="")

    def tried(trial: Trial, mended: bool) -> None:
        now = trial.name if not mended else say("{trial}: sound", trial=trial.name)
        progress.update(task, advance=1, now=now)

    return Events(watched, planned, tried)


def _never_trained(result: Result) -> str:
    printed = result.run / OUTPUT
    lines = printed.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    last = next((line for line in reversed(lines) if line.strip() and not line.startswith("steadygrad:")), "")
    return say("the script has made no step of a training: nothing can be tried ({last})", last=last[:200])


def _guarded(path: Path, text: str) -> None:
    try:
        write_whole(path, text)
    except SteadygradError as error:
        print(f"steadygrad: {error}", file=sys.stderr)
