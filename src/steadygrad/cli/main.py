"""`steadygrad`: the group of commands, and how errors reach the user: one line and an exit status."""

import sys

import click

from .. import __version__
from ..errors import SteadygradError
from . import demo, report, run, runs

COMMANDS = (run.run, demo.demo, report.report, runs.runs)


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="steadygrad")
def steadygrad() -> None:
    """Keep neural-network training steady.

    \b
      steadygrad run train.py --epochs 3      watch and protect an unmodified script
      steadygrad runs                         list recorded runs
      steadygrad report runs/NAME             write the HTML report of one
      steadygrad demo                         see an explosion, and the same run held together
    """


for _command in COMMANDS:
    steadygrad.add_command(_command)


def main() -> None:
    """Entry point. Never shows a traceback for an error that the user can mend."""
    try:
        status = steadygrad.main(standalone_mode=False)
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = f" (see: {error.ctx.command_path} --help)"
        print(f"steadygrad: {error.format_message()}{hint}", file=sys.stderr)
        sys.exit(2)
    except click.exceptions.Abort:
        sys.exit(130)
    except SteadygradError as error:
        print(f"steadygrad: {error}", file=sys.stderr)
        sys.exit(error.exit_status)
    except BrokenPipeError:
        sys.stderr.close()
        sys.exit(141)
    sys.exit(status if isinstance(status, int) else 0)
