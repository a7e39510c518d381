"""Something of ours in the place of a function of torch, taken away again in any order."""

import functools
from collections.abc import Callable
from typing import Any


class Replaced:
    """A function of torch that calls ours instead, until `undo`.

    Others may have put something on top by then, we too: what lies below it calls torch's own from then on, and goes
    when what lies above it has gone.

    Args:
        owner: the module or class that has it.
        name: what it is called there.
        function: ours; it calls what was there before.
    """

    def __init__(self, owner: Any, name: str, function: Callable[..., Any]) -> None:
        self._owner = owner
        self._name = name
        self._before = before = getattr(owner, name)
        self._active = True

        @functools.wraps(before)
        def called(*args: Any, **kwargs: Any) -> Any:
            return (function if self._active else before)(*args, **kwargs)

        called._replaced = self  # type: ignore[attr-defined]
        self._called = called
        setattr(owner, name, called)

    def undo(self) -> None:
        """Take it away."""
        self._active = False
        now = getattr(self._owner, self._name)
        while True:
            top = getattr(now, "_replaced", None)
            # Who wraps a function copies what is written on it: only the function itself is ours.
            if not isinstance(top, Replaced) or top._called is not now or top._active:
                break
            now = top._before
        setattr(self._owner, self._name, now)
