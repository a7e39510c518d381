"""`--lang`: the language that a command speaks to people."""

from collections.abc import Callable
from typing import Any

import click

from .._i18n import LANGUAGES, use


def lang_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--lang`: it takes effect before the command runs."""

    def chosen(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        ctx.meta["steadygrad.lang"] = value
        use(value)

    return click.option(
        "--lang",
        type=click.Choice(sorted(LANGUAGES)),
        callback=chosen,
        expose_value=False,
        is_eager=True,
        help="Language of what people read.  [default: by LANG]",
    )(command)
