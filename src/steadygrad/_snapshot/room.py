"""How much memory there is for snapshots."""

import os
from pathlib import Path

SHARE = 0.25
"""The part of the memory that is free at the start which snapshots may take, unless the user says otherwise."""


class Room:
    """The memory that snapshots of all optimizers share.

    Args:
        limit: bytes, 0 for no snapshots; None: a quarter of what is free when the first snapshot is due.

    Example:
        >>> room = Room(1_000)
        >>> room.grant(1, 600), room.grant(2, 600)
        (600, 400)
    """

    def __init__(self, limit: int | None = None) -> None:
        self._limit = limit
        self._granted: dict[int, int] = {}

    @property
    def limit(self) -> int | None:
        """Bytes for all; None while nobody has asked."""
        return self._limit

    def grant(self, owner: int, wanted: int) -> int:
        """How much of what it wants an owner may have; what it had before is given back."""
        if self._limit is None:
            self._limit = int(SHARE * _free())
        self._granted.pop(owner, None)
        free = max(0, self._limit - sum(self._granted.values()))
        self._granted[owner] = min(wanted, free)
        return self._granted[owner]


def _free() -> int:
    free = [room for room in (_of_the_machine(), _of_the_group()) if room is not None]
    return min(free, default=8 << 30)


def _of_the_machine() -> int | None:
    try:
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    except (OSError, ValueError):
        pass
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, AttributeError):
        return None


def _of_the_group() -> int | None:
    """What a container may still take (cgroup v2)."""
    try:
        group = Path("/sys/fs/cgroup")
        limit = (group / "memory.max").read_text().strip()
        return None if limit == "max" else max(0, int(limit) - int((group / "memory.current").read_text()))
    except (OSError, ValueError):
        return None
