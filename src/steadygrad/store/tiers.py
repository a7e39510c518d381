"""How a recording stays bounded: full detail near now and near incidents, every 16th step's vectors before that.

Only the per-tensor vectors are thinned; the scalars of every step stay (about 70 bytes a step).
"""

import sqlite3

from .schema import MAX_OPTIMIZERS

NEAR = 16_384
"""Steps before now that keep every vector."""

STRIDE = 16
"""Of older steps, one in so many keeps its vector."""

SAMPLE_STRIDE = 256
"""Of older sampled quantities, one in so many steps is kept."""

AROUND = 64
"""Steps on either side of an incident that keep every vector."""

MAX_KEPT = 16_384
"""Steps around incidents that are kept at the most; a run that fails all the time is not kept in full for ever."""

BAND = 4_096
"""Steps that are thinned at a time."""


class Tiers:
    """Knows which vectors of the past may go."""

    def __init__(self) -> None:
        self._kept: list[tuple[int, int]] = []
        self._kept_steps = 0
        self._thinned_to = 0
        self._last = 0

    def seen(self, step: int) -> None:
        """Step `step` was recorded."""
        self._last = max(self._last, step)

    def protect(self, step: int) -> None:
        """Keep everything around `step`."""
        first, last = max(0, step - AROUND), step + AROUND
        if self._kept_steps >= MAX_KEPT:
            return
        if self._kept and first <= self._kept[-1][1]:
            start, end = self._kept[-1]
            self._kept[-1] = (start, max(last, end))
            self._kept_steps += max(0, last - end)
        else:
            self._kept.append((first, last))
            self._kept_steps += last - first

    def thin(self, connection: sqlite3.Connection) -> None:
        """Delete the vectors that have become old, one band at a time. SQLite uses the freed pages again."""
        while self._last - NEAR >= self._thinned_to + BAND:
            for first, last in self._gaps(self._thinned_to, self._thinned_to + BAND):
                connection.execute(
                    f"DELETE FROM grad_norm WHERE id >= ? AND id < ? AND (id / {MAX_OPTIMIZERS}) % {STRIDE} != 0",
                    (first * MAX_OPTIMIZERS, last * MAX_OPTIMIZERS),
                )
                for table in ("param_norm", "update_ratio"):  # sampled at odd steps: the first of each stretch stays
                    band = (first * MAX_OPTIMIZERS, last * MAX_OPTIMIZERS) * 2
                    connection.execute(
                        f"DELETE FROM {table} WHERE id >= ? AND id < ? AND id NOT IN (SELECT min(id) FROM {table} "
                        "WHERE id >= ? AND id < ? "
                        f"GROUP BY id / {MAX_OPTIMIZERS * SAMPLE_STRIDE}, id % {MAX_OPTIMIZERS})",
                        band,
                    )
            self._thinned_to += BAND

    def _gaps(self, first: int, last: int) -> list[tuple[int, int]]:
        """What is left of the steps [first, last) without the protected ones."""
        gaps = []
        for start, end in sorted(self._kept):
            if end < first or start >= last:
                continue
            if start > first:
                gaps.append((first, start))
            first = max(first, end + 1)
        if first < last:
            gaps.append((first, last))
        return gaps
