"""Hooks that lie on the user's modules and that no copy or checkpoint of them takes along."""

from collections.abc import Callable
from contextlib import nullcontext
from typing import Any


class InertHook:
    """A hook that a copied or saved module does not take along: there it becomes a call that does nothing."""

    def __init__(self, call: Callable[..., Any]) -> None:
        self._call = call

    def __call__(self, *args: Any) -> Any:
        return self._call(*args)

    def __reduce__(self) -> Any:
        return getattr, (nullcontext(), "__exit__")  # of the standard library: the copy opens without us
