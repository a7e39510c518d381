"""While we compute a pass again by ourselves, our own hooks do not look."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

_LOCAL = threading.local()


def is_quiet() -> bool:
    """Whether what happens in this thread is our own doing.

    >>> with quiet():
    ...     is_quiet()
    True
    """
    return quiet_depth() > 0


def quiet_depth() -> int:
    """Within how many blocks of `quiet` this thread is: what is a training within one may make trials in another."""
    return getattr(_LOCAL, "depth", 0)


@contextmanager
def quiet() -> Iterator[None]:
    """What happens inside is no part of the training."""
    before = quiet_depth()
    _LOCAL.depth = before + 1
    try:
        yield
    finally:
        _LOCAL.depth = before
