"""`steadygrad report`: the HTML page of a recorded run."""

from pathlib import Path

import click

from ..diagnosis import open_run
from .language import Spoken, lang_option
from .outputs import require_file


@click.command(cls=Spoken)
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="The file to write; default: report.html in the run folder.",
)
@lang_option
def report(run: Path, output: Path | None) -> None:
    """Write the HTML report of a recorded RUN, one file that opens without a network.

    A run that is still being recorded can be reported on too.
    """
    from ..report import require_ui, write_report

    recorded = open_run(run)
    path = output if output is not None else run / "report.html"
    require_file(path, "--output")
    require_ui()
    write_report(recorded, path)
    click.echo(str(path))
