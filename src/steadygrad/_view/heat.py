"""The map tensor x step: per-tensor norms binned by their maximum, read in pieces to keep memory small."""

from dataclasses import dataclass

import numpy as np

from ..records import NO_GRADIENT, TensorInfo
from ..store import ProcessRecording
from .model import Heat

COLUMNS = 800
"""Columns of a map at the most: on fewer pixels, columns would be dropped, and single spikes."""

ROWS = 600
"""Rows of a map at the most: one pixel each. With more tensors, neighbours share a row."""

CELLS = 480_000
"""Cells of all maps of a page together: they are most of its size."""

PIECE_BYTES = 64 << 20
"""What is read at a time."""


@dataclass(frozen=True, slots=True)
class TensorExtremes:
    """Of each tensor: its largest finite value (NO_GRADIENT: none) and first non-finite step (-1: none)."""

    largest: np.ndarray  # (tensors,) float32
    first_nonfinite: np.ndarray  # (tensors,) int64


class Binned:
    """Collects vectors of the steps [first, last) into columns.

    Example:
        >>> binned = Binned(first=0, last=4, columns=2, tensors=1)
        >>> binned.add(np.array([0, 1, 3]), np.array([[1.0], [5.0], [np.nan]], np.float32))
        >>> binned.values.tolist()
        [[5.0], [nan]]
    """

    def __init__(self, first: int, last: int, columns: int, tensors: int) -> None:
        self.first, self.last = first, last
        self.values = np.full((columns, tensors), NO_GRADIENT, np.float32)
        self.filled = np.zeros(columns, bool)
        self._largest = np.full(tensors, NO_GRADIENT, np.float32)
        self._first_nonfinite = np.full(tensors, -1, np.int64)

    def add(self, step: np.ndarray, matrix: np.ndarray) -> None:
        """Take in vectors, in order of their steps. A matrix of another width is cut or filled up."""
        inside = (step >= self.first) & (step < self.last)
        if not inside.all():
            step, matrix = step[inside], matrix[inside]
        if not len(step):
            return
        matrix = _fit(matrix, self.values.shape[1])
        columns, tensors = self.values.shape
        place = (step - self.first) * columns // (self.last - self.first)
        starts = np.flatnonzero(np.diff(place, prepend=-1))
        if tensors:
            finite = np.isfinite(matrix)
            if not finite.all():
                # No norm is negative: a -Inf is the trace of a damaged sum and must not hide below a number.
                matrix = np.where(np.isneginf(matrix), np.float32(np.inf), matrix)
                self._remember_nonfinite(step, ~finite)
                self._largest = np.maximum(self._largest, np.where(finite, matrix, NO_GRADIENT).max(axis=0))
            peaks = np.maximum.reduceat(matrix, starts, axis=0)
            if finite.all():
                self._largest = np.maximum(self._largest, peaks.max(axis=0))
            where = place[starts]
            self.values[where] = np.maximum(self.values[where], peaks)
        self.filled[place[starts]] = True

    def hold(self) -> None:
        """Let each column without a vector repeat the one before it: for a quantity sampled now and then."""
        source = np.maximum.accumulate(np.where(self.filled, np.arange(len(self.filled)), -1))
        self.values = np.where((source >= 0)[:, None], self.values[source], np.float32(NO_GRADIENT))

    def extremes(self) -> TensorExtremes:
        """What each tensor reached."""
        return TensorExtremes(self._largest, self._first_nonfinite)

    def _remember_nonfinite(self, step: np.ndarray, hits: np.ndarray) -> None:
        fresh = hits.any(axis=0) & (self._first_nonfinite < 0)
        self._first_nonfinite[fresh] = step[hits.argmax(axis=0)[fresh]]


def read_heat(
    recording: ProcessRecording,
    quantity: str,
    optimizer: int,
    tensors: tuple[TensorInfo, ...],
    steps: int,
    cells: int = CELLS,
) -> tuple[Heat | None, TensorExtremes]:
    """The map of one quantity of one optimizer.

    Args:
        recording: where it is read from, in pieces.
        quantity: one of `records.QUANTITIES`.
        optimizer: its index.
        tensors: its parameters.
        steps: how many steps to show.
        cells: how many cells the map may have.

    Returns:
        The map, None when nothing of it was recorded; and what each tensor reached.
    """
    group = -(-len(tensors) // ROWS) or 1
    labels = tuple(tensor.name for tensor in tensors[::group])
    columns = max(1, min(COLUMNS, steps, cells // max(1, len(labels))))
    binned = Binned(0, max(1, steps), columns, len(tensors))
    piece = max(1, PIECE_BYTES // (4 * max(1, len(tensors))))
    for first in range(0, steps, piece):
        binned.add(*recording.vectors(quantity, optimizer, first, min(steps, first + piece)))
    if not binned.filled.any() or not tensors:
        return None, binned.extremes()
    held = quantity != "grad_norm"
    if held:
        binned.hold()
    rows = np.maximum.reduceat(binned.values, np.arange(0, len(tensors), group), axis=1).T
    values = np.ascontiguousarray(np.maximum(rows, np.float32(NO_GRADIENT)))
    return Heat(quantity, 0, max(1, steps), labels, values, len(tensors), group, held), binned.extremes()


def _fit(matrix: np.ndarray, width: int) -> np.ndarray:
    if matrix.shape[1] >= width:
        return matrix[:, :width]
    fitted = np.full((len(matrix), width), NO_GRADIENT, np.float32)
    fitted[:, : matrix.shape[1]] = matrix
    return fitted
