"""A remedy that somebody has chosen by hand, in the words of a command line."""

import difflib
from typing import Any

from .._i18n import say
from .catalogue import REMEDIES, Remedy, remedy


def parse_remedy(words: str) -> tuple[str, dict[str, Any]]:
    """The id of a remedy and its options.

    Args:
        words: `ID` or `ID:OPTION=VALUE,OPTION=VALUE`.

    Returns:
        The id, and the options that are given, as numbers where the default is one.

    Raises:
        ValueError: there is no such remedy, it cannot be applied from outside, or has no such option.

    Example:
        >>> parse_remedy("warm-up:steps=40")
        ('warm-up', {'steps': 40})
    """
    name, _, given = words.partition(":")
    known = remedy(name)
    if not known.outside:
        raise ValueError(_unknown(name))
    options = {}
    for part in filter(None, given.split(",")):
        option, _, value = part.partition("=")
        options[option] = _value(known, option, value)
    return name, options


def _unknown(name: str) -> str:
    outside = [each.id for each in REMEDIES if each.outside]
    if any(each.id == name for each in REMEDIES):
        return say("{remedy} can only be made in the code: steadygrad explain {remedy}", remedy=name)
    near = difflib.get_close_matches(name, outside, 1)
    hint = say("did you mean {cause}?", cause=near[0]) if near else say("steadygrad explain --remedies lists them")
    return say("no remedy is called {remedy}: {hint}", remedy=repr(name), hint=hint)


def _value(known: Remedy, option: str, value: str) -> Any:
    if option not in known.options:
        has = ", ".join(f"{name}={default}" for name, default in known.options.items()) or say("none")
        raise ValueError(
            say("{remedy} has no option {option!r} (it has: {has})", remedy=known.id, option=option, has=has)
        )
    default = known.options[option]
    try:
        return type(default)(value)
    except ValueError:
        told = {"remedy": known.id, "option": option, "value": value, "default": default}
        raise ValueError(say("{remedy}: {option} is {value!r}, expected a number such as {default}", **told)) from None
