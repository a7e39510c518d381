"""`steadygrad check`: what can be known before step 0, of a factory's model or of an unmodified script."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

import click

from .. import _config
from .._autostart.launch import SITE, environment
from .._i18n import say
from ..errors import UsageError
from ..findings import OUTCOME, CheckResult
from .child import end_like, run_child
from .language import Spoken, chosen_language, lang_option
from .outputs import is_piped, require_file, require_writable, write_whole
from .target import find_target, split_arguments
from .targeted import TARGET

WITH_VALUE = frozenset({"--json", "--report", "--lang"})


class _CheckCommand(Spoken):
    """Gives click our own options only: what follows the script belongs to the script."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        own, target = split_arguments(args, WITH_VALUE)
        if target and _is_factory(target):  # it has no arguments: what follows is ours too
            own, target = [*own, *target[1:]], target[:1]
        ctx.meta[TARGET] = target
        return super().parse_args(ctx, own)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write_usage(ctx.command_path, "[OPTIONS] (MODULE:FACTORY | FILE.py:FACTORY | SCRIPT [ARGS]...)")


@click.command(cls=_CheckCommand)
@click.option(
    "--json",
    "json_path",
    type=click.Path(path_type=Path),
    help="Write findings and measurements here as JSON; - for standard output.",
)
@click.option("--report", "report_path", type=click.Path(path_type=Path), help="Write the HTML page here.")
@click.option("--quiet", is_flag=True, help="Print findings only.")
@lang_option
@click.pass_context
def check(ctx: click.Context, json_path: Path | None, report_path: Path | None, quiet: bool) -> int:
    """Check a model before its first step: scales, gains, gradients over time, curvature.

    \b
      steadygrad check train.py --epochs 3     run a script up to its first backward, and no further
      steadygrad check package.models:make     a function that returns (model, batch, loss_fn, optimizer)
      steadygrad check experiment.py:make      the same in a file

    A script is not changed and makes no step: it is ended at its first backward. A factory can be looked at more
    closely: the same batch is tried standardised and doubled, and a few steps are made and undone.

    Exit status: 0 sound, 1 something was found, 2 it could not be checked.
    """
    if json_path is not None:
        require_writable(json_path, "--json")
    if report_path is not None:
        require_file(report_path, "--report")
        from ..report import require_ui

        require_ui()
    words = ctx.meta[TARGET]
    if not words:
        raise UsageError(say("nothing to check: name a script, or MODULE:FACTORY (steadygrad check train.py)"))
    folder = Path(tempfile.mkdtemp(prefix="steadygrad-check-"))
    try:
        status = run_child(_command(words), _environment(folder, words))
        result = _outcome(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if result is None:
        end_like(status)
        if _is_factory(words) and status == 2:
            return 2  # the child has said why
        told = {"script": words[0], "status": status}
        if _is_factory(words):
            raise UsageError(
                say("{script} ended with status {status} before the check was done: nothing was measured", **told)
            )
        raise UsageError(
            say("{script} ended with status {status} before its first backward: nothing was measured", **told)
        )
    if json_path is not None:
        write_whole(json_path, json.dumps(result.to_dict(), indent=2, allow_nan=False) + "\n")
    if report_path is not None:
        from ..report import write_report

        write_report(result, report_path)
    from rich.console import Console

    from .checked import print_check

    print_check(
        result, Console(stderr=is_piped(json_path), highlight=False, soft_wrap=True), quiet=quiet, report=report_path
    )
    return 1 if result.findings else 0


def _is_factory(words: list[str]) -> bool:
    return ":" in words[0] and not Path(words[0]).exists()


def _command(words: list[str]) -> tuple[str, ...]:
    if not _is_factory(words):
        return find_target(words).command
    return (sys.executable, "-m", "steadygrad.preflight", words[0])


def _environment(folder: Path, words: list[str]) -> dict[str, str]:
    env = environment(_config.ChildConfig(str(folder.resolve()), _config.CHECK, lang=chosen_language()))
    if _is_factory(words):
        env["PYTHONPATH"] = env["PYTHONPATH"].removeprefix(str(SITE)).lstrip(":;")
    else:
        env[_config.NO_COMPILE] = "1"  # what is compiled cannot be looked at
    return env


def _outcome(folder: Path) -> CheckResult | None:
    path = folder / OUTCOME
    return CheckResult.from_dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else None
