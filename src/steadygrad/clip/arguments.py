"""Checks of arguments: the value that came, and what was expected."""

import math


def positive(name: str, value: float) -> float:
    """A finite number above 0.

    Raises:
        ValueError: it is not.
    """
    return _checked(name, value, isinstance(value, (int, float)) and 0 < value < math.inf, "a positive number")


def threshold(name: str, value: float) -> float:
    """A number above 0; infinity means: never.

    Raises:
        ValueError: it is not.
    """
    return _checked(name, value, isinstance(value, (int, float)) and value > 0, "a positive number")


def between(name: str, value: float, low: float, high: float) -> float:
    """A number with low <= value < high.

    Raises:
        ValueError: it is not.
    """
    right = isinstance(value, (int, float)) and low <= value < high
    return _checked(name, value, right, f"at least {low:g} and below {high:g}")


def count(name: str, value: int, least: int = 1) -> int:
    """A whole number of at least `least`.

    Raises:
        ValueError: it is not.
    """
    right = isinstance(value, int) and not isinstance(value, bool) and value >= least
    return int(_checked(name, value, right, f"a whole number of at least {least}"))


def one_of(name: str, value: str, choices: tuple[str, ...]) -> str:
    """One of some words.

    Raises:
        ValueError: it is not.
    """
    if value not in choices:
        raise ValueError(f"{name} is {value!r}, expected one of {', '.join(choices)}")
    return value


def _checked(name: str, value: float, right: bool, expected: str) -> float:
    if not right:
        raise ValueError(f"{name} is {value!r}, expected {expected}")
    return value
