"""`--lang`: the language that a command speaks to people, its help included."""

import inspect
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import click

from .._i18n import LANGUAGES, say, use
from .target import split_arguments

KEY = "steadygrad.lang"
"""Where a context keeps what `--lang` has said."""

AS_IT_STANDS = "\b\n"
"""Begins a paragraph of help that click does not wrap."""


def lang_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command `--lang`: it takes effect before the command runs."""

    def chosen(ctx: click.Context, param: click.Parameter, value: str | None) -> None:
        # The group may have been told already; a context shares what it knows with those below it.
        ctx.meta[KEY] = value or ctx.meta.get(KEY)
        use(ctx.meta[KEY])

    return click.option(
        "--lang",
        type=click.Choice(sorted(LANGUAGES)),
        callback=chosen,
        expose_value=False,
        is_eager=True,
        help="Language of what people read.  [default: by LANG]",
    )(command)


def chosen_language() -> str | None:
    """What `--lang` has said in the command that is running; None if nothing."""
    return click.get_current_context().meta.get(KEY)


class Spoken(click.Command):
    """A command, or a group, whose help is in the language of the people."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse as usual; `--help` speaks the language of a `--lang` that comes after it."""
        own = split_arguments(args, frozenset({"--lang"}))[0] if isinstance(self, click.Group) else args
        language = _asked_for(own)
        if language is not None:
            use(language)
        return super().parse_args(ctx, args)

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the help, translated."""
        with _translated(self, self.get_params(ctx)):
            super().format_help(ctx, formatter)

    def get_short_help_str(self, limit: int = 45) -> str:
        """The first sentence of the help, translated."""
        with _translated(self, ()):
            return super().get_short_help_str(limit)


def paragraphs(text: str) -> list[str]:
    """The paragraphs of a help text as the catalogue has them: those that click wraps in one line each.

    >>> paragraphs("Do it.\\nAnd well.\\n\\n\\b\\n  steadygrad do it")
    ['Do it. And well.', '  steadygrad do it']
    """
    return [
        part.removeprefix(AS_IT_STANDS) if part.startswith(AS_IT_STANDS) else re.sub(r"\s+", " ", part).strip()
        for part in _parts(text)
    ]


def _parts(text: str) -> list[str]:
    return [part for part in inspect.cleandoc(text).split("\n\n") if part.strip()]


def _said(text: str) -> str:
    marks = [AS_IT_STANDS if part.startswith(AS_IT_STANDS) else "" for part in _parts(text)]
    return "\n\n".join(mark + say(part) for mark, part in zip(marks, paragraphs(text), strict=True))


def _asked_for(args: Sequence[str]) -> str | None:
    found = None
    for place, word in enumerate(args):
        if word == "--lang" and place + 1 < len(args):
            found = args[place + 1]
        elif word.startswith("--lang="):
            found = word.removeprefix("--lang=")
    return found if found in LANGUAGES else None


@contextmanager
def _translated(command: click.Command, params: Sequence[click.Parameter]) -> Iterator[None]:
    """Inside, a command and its options have their help in the language of the people."""
    options = [param for param in params if isinstance(param, click.Option) and param.help]
    kept = command.help, [option.help for option in options]
    try:
        command.help = None if command.help is None else _said(command.help)
        for option in options:
            option.help = say(str(option.help))
        yield
    finally:
        command.help = kept[0]
        for option, text in zip(options, kept[1], strict=True):
            option.help = text
