"""A command that runs something of the user's: everything from the script on belongs to the script."""

import click

from .language import Spoken
from .target import split_arguments

TARGET = "steadygrad.target"
"""Where a context keeps the words from the script on."""


class Targeted(Spoken):
    """Gives click our own options only: what follows the script may look like anything."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Cut off the script and what belongs to it."""
        with_value = {
            name
            for param in self.params
            if isinstance(param, click.Option) and not param.is_flag
            for name in param.opts
        }
        own, target = split_arguments(args, frozenset(with_value))
        ctx.meta[TARGET] = target
        return super().parse_args(ctx, own)

    def format_usage(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The usage, with what may be run."""
        formatter.write_usage(ctx.command_path, "[OPTIONS] (SCRIPT | -m MODULE | -- COMMAND) [ARGS]...")
