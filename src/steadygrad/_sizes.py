"""Sizes of memory, as people write them."""

import re

from ._i18n import say

UNITS = {"": 1, "K": 10**3, "M": 10**6, "G": 10**9, "KI": 2**10, "MI": 2**20, "GI": 2**30}


def parse_size(size: int | str) -> int:
    """A size in bytes from a number or from text.

    Args:
        size: bytes, or text such as "512MB", "2 GiB", "0".

    Returns:
        The number of bytes.

    Raises:
        ValueError: it is negative or cannot be read.

    Example:
        >>> parse_size("1.5GB"), parse_size("2 KiB"), parse_size(10)
        (1500000000, 2048, 10)
    """
    found = re.fullmatch(r"\s*([0-9.]+)\s*([KMG]I?)?B?\s*", str(size).upper())
    try:
        assert found is not None
        return int(float(found[1]) * UNITS[found[2] or ""])
    except (AssertionError, ValueError):
        raise ValueError(
            say("{size!r} is no size, expected bytes or text such as '512MB', '2GiB' or '0'", size=size)
        ) from None
