"""`steadygrad`: the group of commands, and how errors reach the user: one line and an exit status."""

import importlib
import sys

import click

from .. import __version__
from .._i18n import say
from ..errors import SteadygradError
from .language import Spoken, lang_option

COMMANDS = ("run", "check", "diagnose", "rescue", "explain", "report", "runs", "demo")
"""Each is a module of this package and the command in it; only the one that is called is loaded."""


class _Commands(Spoken, click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        return getattr(importlib.import_module(f".{cmd_name}", __package__), cmd_name)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="steadygrad")
@lang_option
def steadygrad() -> None:
    """Keep neural-network training steady.

    \b
      steadygrad run train.py --epochs 3      watch and protect an unmodified script
      steadygrad check train.py               what is wrong before the first step
      steadygrad diagnose runs/NAME           why a recorded run went wrong
      steadygrad rescue train.py              prove the cause, and find the change that mends it
      steadygrad explain CAUSE                what a cause means, and what to change
      steadygrad runs                         list recorded runs
      steadygrad report runs/NAME             write the HTML report of one
      steadygrad demo                         see an explosion, and the same run held together
    """


def main() -> None:
    """Entry point. Never shows a traceback for an error that the user can mend."""
    try:
        status = steadygrad.main(standalone_mode=False)
    except click.ClickException as error:
        hint = ""
        if isinstance(error, click.UsageError) and error.ctx is not None:
            hint = " " + say("(see: {command} --help)", command=error.ctx.command_path)
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
