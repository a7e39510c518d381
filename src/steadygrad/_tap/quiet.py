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
    return getattr(_LOCAL, "quiet", False)


@contextmanager
def quiet() -> Iterator[None]:
    """What happens inside is no part of the training."""
    before = is_quiet()
    _LOCAL.quiet = True
    try:
        yield
    finally:
        _LOCAL.quiet = before
