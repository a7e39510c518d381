"""Long curves made short: every bin keeps its smallest and largest value, and says whether it held a NaN."""

from collections.abc import Mapping, Sequence

import numpy as np

from .model import INF, MINUS_INF, NAN, EdgeMarks, Lines

BINS = 2_000
"""Bins of a curve: about one for each pixel of a wide screen."""

KINDS = (
    (NAN, np.isnan),
    (INF, np.isposinf),
    (MINUS_INF, np.isneginf),
)


def keep_extremes(columns: Sequence[np.ndarray], bins: int = BINS) -> np.ndarray:
    """Indices of the points that draw the same curves as all points.

    Args:
        columns: curves of equal length; values that are not finite are passed over.
        bins: how many equal parts the points are divided into.

    Returns:
        Sorted indices: the ends, and of every bin and curve the smallest and the largest finite value;
        all indices where that would save nothing.

    Example:
        >>> values = np.zeros(1000)
        >>> values[517] = 9.0
        >>> 517 in keep_extremes([values], bins=10)
        True
    """
    length = len(columns[0]) if columns else 0
    if length <= 2 * bins * len(columns):
        return np.arange(length)
    width = -(-length // bins)
    starts = np.arange(0, length, width)
    picks = [np.array([0, length - 1])]
    for values in columns:
        finite = np.isfinite(values)
        for empty, choose in ((np.inf, np.argmin), (-np.inf, np.argmax)):
            padded = np.full(len(starts) * width, empty)
            padded[:length] = values if finite.all() else np.where(finite, values, empty)
            picks.append(starts + choose(padded.reshape(-1, width), axis=1))
    return np.unique(np.concatenate(picks))


def non_finite_marks(step: np.ndarray, columns: Mapping[str, np.ndarray], bins: int = BINS) -> EdgeMarks:
    """One mark for each bin, curve and kind of value that is not finite.

    Example:
        >>> marks = non_finite_marks(np.arange(3), {"loss": np.array([1.0, np.nan, np.inf])})
        >>> marks.step.tolist(), marks.kind
        ([1, 2], ('NaN', 'Inf'))
    """
    length = len(step)
    width = max(1, -(-length // bins))
    first, last, count, kinds, names = [], [], [], [], []
    for name, values in columns.items():
        if np.isfinite(values).all():
            continue
        for kind, test in KINDS:
            hits = np.flatnonzero(test(values))
            if not len(hits):
                continue
            _, begins, counts = np.unique(hits // width, return_index=True, return_counts=True)
            first.append(step[hits[begins]])
            last.append(step[hits[begins + counts - 1]])
            count.append(counts)
            kinds += [kind] * len(begins)
            names += [name] * len(begins)
    if not first:
        nothing = np.zeros(0, np.int64)
        return EdgeMarks(nothing, nothing, nothing, (), ())
    return EdgeMarks(np.concatenate(first), np.concatenate(last), np.concatenate(count), tuple(kinds), tuple(names))


def lines(step: np.ndarray, columns: Mapping[str, np.ndarray], bins: int = BINS) -> Lines:
    """Curves over the step, thinned together."""
    keep = keep_extremes(tuple(columns.values()), bins)
    values = {}
    for name, column in columns.items():
        kept = column[keep]
        values[name] = np.where(np.isfinite(kept), kept, np.nan)
    return Lines(step[keep], values, non_finite_marks(step, columns, bins))
