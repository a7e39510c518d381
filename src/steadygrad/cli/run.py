"""`steadygrad run`: start a command watched, and afterwards say what happened, whatever ended it."""

import sys
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from .. import _config
from .._autostart.launch import environment
from .._i18n import say
from .._sizes import parse_size
from ..errors import SteadygradError, UsageError
from ..store.events import append_event
from ..store.folder import create_run, finish_run
from .child import end_like, run_child
from .language import chosen_language, lang_option
from .outputs import require_file, require_writable, write_whole
from .target import find_target
from .targeted import TARGET, Targeted


@click.command(cls=Targeted)
@click.option(
    "--mode",
    type=click.Choice(_config.MODES),
    default="protect",
    show_default=True,
    help="protect: clip outliers, leave out steps that are not finite, lower the learning rate, roll back, stop what "
    "nothing helps. observe: never touch training, only record. repair: also put right in place what the evidence of "
    "an alarm supports, verified and undone if it does not help, and keep a lowered rate until something else that "
    "was wrong is put right.",
)
@click.option(
    "--remedy",
    "remedies",
    multiple=True,
    metavar="ID[:OPTION=VALUE]",
    help="Apply a remedy of the catalogue from the first step on, such as clip-global-norm or warm-up:steps=200; may "
    "be given several times. `steadygrad explain --remedies` lists them.",
)
@click.option(
    "--snapshot-memory",
    metavar="SIZE",
    help="Memory for the snapshots that a run is rolled back to, such as 2GB; 0 for none.  [default: a quarter of "
    "what is free; with several ranks none, unless you say how much]",
)
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    default=Path("runs"),
    show_default=True,
    help="Folder for run folders.",
)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write the summary here as JSON, however the run ends; - for standard output, behind what the script prints.",
)
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write the HTML report here.")
@click.option(
    "--keep-batch",
    is_flag=True,
    help="Keep the samples of a batch that raises an alarm, as batch-step<N>.npz in the run folder. Without it a run "
    "keeps statistics, shapes and digests.",
)
@click.option("--quiet", is_flag=True, help="No summary at the end.")
@lang_option
@click.pass_context
def run(
    ctx: click.Context,
    mode: str,
    remedies: tuple[str, ...],
    snapshot_memory: str | None,
    out: Path,
    json_path: Path | None,
    report_path: Path | None,
    keep_batch: bool,
    quiet: bool,
) -> int:
    """Run a training script, watched and protected. The script is not changed.

    \b
      steadygrad run train.py --epochs 3
      steadygrad run --mode observe --report report.html -m package.train
      steadygrad run -- torchrun --nproc-per-node 2 train.py

    Everything behind the script belongs to the script. The exit status is the script's own.
    STEADYGRAD=off turns everything off.
    """
    if json_path is not None:
        require_writable(json_path, "--json")
    if report_path is not None:
        require_file(report_path, "--report")
        _require_ui()
    target = find_target(ctx.meta[TARGET])
    chosen = _chosen(remedies)
    memory = _memory(snapshot_memory)
    folder = _folder(out, target.stem, mode, target.command)
    if _config.switched_off():
        append_event(folder, "off")
    try:
        config = _config.ChildConfig(str(folder.resolve()), mode, memory, keep_batch, chosen_language(), chosen)
        status = run_child(target.command, environment(config), _load_what_concludes)
    except OSError as error:
        raise UsageError(
            say("cannot start {command}: {error}", command=target.command[0], error=error.strerror or error)
        ) from None
    _conclude(folder, status, json_path, report_path, quiet)
    end_like(status)
    return status


def _folder(out: Path, stem: str, mode: str, command: tuple[str, ...]) -> Path:
    try:
        return create_run(out, stem, mode, command)
    except SteadygradError as error:
        raise UsageError(f"--out {out}: {error}") from None


def _chosen(remedies: tuple[str, ...]) -> tuple[_config.RemedyConfig, ...]:
    if not remedies:
        return ()
    from ..remedies import parse_remedy

    try:
        parsed = [parse_remedy(words) for words in remedies]
    except ValueError as error:
        raise UsageError(f"--remedy: {error}") from None
    return tuple(_config.RemedyConfig(name, options=options) for name, options in parsed)


def _memory(size: str | None) -> int | None:
    try:
        return None if size is None else parse_size(size)
    except ValueError as error:
        raise UsageError(f"--snapshot-memory: {error}") from None


def _require_ui() -> None:
    from ..report import require_ui

    require_ui()


def _load_what_concludes() -> None:
    """Load what tells of the run while it runs, so that nobody waits for it: not before its start, nor at its end."""
    with suppress(Exception):  # whatever is wrong is told where it is needed
        from .. import diagnosis  # noqa: F401
        from . import summary  # noqa: F401


def _conclude(folder: Path, status: int, json_path: Path | None, report_path: Path | None, quiet: bool) -> None:
    """Everything after the child's end. Whatever fails here is told in one line; the status stays the child's."""
    # Loaded here and not above, see `_load_what_concludes`.
    from rich.console import Console

    from ..diagnosis import lost_run, open_run, to_json
    from .summary import print_summary

    try:
        finish_run(folder, status)
    except SteadygradError as error:
        _tell(say("the run folder is gone or cannot be written ({error})", error=error))
    recorded = None
    try:
        recorded = open_run(folder)
        summary = recorded.summary()
    except SteadygradError as error:
        _tell(str(error))
        recorded, summary = None, lost_run(folder, status)
    if json_path is not None:
        _guarded(lambda: write_whole(json_path, to_json(summary) + "\n"))
    written = None
    if report_path is not None and recorded is not None:
        from ..report import write_report

        _guarded(lambda: write_report(recorded, report_path, summary=summary))
        written = str(report_path) if report_path.exists() else None
    if not quiet:
        print_summary(summary, Console(stderr=True, highlight=False, soft_wrap=True), report=written)


def _guarded(write: Any) -> None:
    try:
        write()
    except SteadygradError as error:
        _tell(str(error))
    except Exception as error:  # the script has ended well or badly; a page that cannot be drawn changes neither
        _tell(f"{type(error).__name__}: {error}")


def _tell(line: str) -> None:
    print(f"steadygrad: {line}", file=sys.stderr)
