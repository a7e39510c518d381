"""What is made small keeps its extremes and everything that is not finite."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from steadygrad._view.heat import Binned
from steadygrad._view.reduce import keep_extremes, lines, non_finite_marks
from steadygrad.records import NO_GRADIENT

floats = st.floats(width=32) | st.sampled_from([math.nan, math.inf, -math.inf, 0.0, 1e30])
curve = st.lists(floats, min_size=1, max_size=300).map(np.array)
bins = st.integers(1, 20)


@given(curve, bins)
def test_the_smallest_and_largest_value_of_every_bin_stay(values, bins):
    keep = keep_extremes([values], bins)
    assert (np.diff(keep) > 0).all()
    assert {0, len(values) - 1} <= set(keep.tolist())
    kept = set(values[keep].tolist())
    if len(values) > 2 * bins:
        width = -(-len(values) // bins)
        assert len(keep) <= 2 * bins + 2
        for start in range(0, len(values), width):
            part = values[start : start + width]
            finite = part[np.isfinite(part)]
            if len(finite):
                assert {finite.min(), finite.max()} <= kept
    else:
        assert len(keep) == len(values)


@given(curve, bins)
def test_every_non_finite_value_is_counted_by_a_mark_of_its_bin(values, bins):
    step = np.arange(len(values)) * 3
    marks = non_finite_marks(step, {"loss": values}, bins)
    wanted = {"NaN": np.isnan(values), "Inf": np.isposinf(values), "-Inf": np.isneginf(values)}
    for kind, hits in wanted.items():
        own = np.array([each == kind for each in marks.kind], bool)
        assert marks.count[own].sum() == hits.sum()
        covered = np.zeros(len(values), bool)
        for first, last in zip(marks.step[own], marks.last[own], strict=True):
            assert hits[first // 3]
            assert hits[last // 3]
            covered |= (step >= first) & (step <= last)
        assert covered[hits].all()


def test_one_nan_among_a_million_steps_is_seen_and_leaves_the_spike_beside_it():
    values = np.sin(np.arange(1_000_000) / 1e4)
    values[654_321], values[654_322] = np.nan, 1e9
    found = lines(np.arange(1_000_000), {"loss": values})
    assert found.marks.step.tolist() == [654_321]
    assert found.values["loss"][found.step == 654_322] == [1e9]
    assert len(found) <= 4_002


def test_two_curves_keep_the_extremes_of_both():
    first, second = np.zeros(10_000), np.zeros(10_000)
    first[1234], second[4321] = 5.0, -5.0
    keep = keep_extremes([first, second], bins=50)
    assert {1234, 4321} <= set(keep.tolist())


cell = st.floats(0, 2.0**100, width=32) | st.sampled_from([math.nan, math.inf, NO_GRADIENT])
cells = st.lists(st.lists(cell, min_size=3, max_size=3), min_size=1, max_size=60)


@given(cells, st.integers(1, 12), st.integers(1, 7))
def test_a_column_of_the_map_is_the_largest_of_its_steps_and_nan_wins(rows, columns, piece):
    matrix = np.array(rows, np.float32)
    columns = min(columns, len(matrix))
    binned = Binned(0, len(matrix), columns, 3)
    for start in range(0, len(matrix), piece):  # however it is read
        binned.add(np.arange(start, min(len(matrix), start + piece)), matrix[start : start + piece])
    place = np.arange(len(matrix)) * columns // len(matrix)
    for column in range(columns):
        for tensor in range(3):
            own = matrix[place == column, tensor]
            wanted = np.nan if np.isnan(own).any() else own.max()
            np.testing.assert_equal(binned.values[column, tensor], np.float32(wanted))
    reached = binned.extremes()
    for tensor in range(3):
        bad = np.flatnonzero(~np.isfinite(matrix[:, tensor]))
        assert reached.first_nonfinite[tensor] == (bad[0] if len(bad) else -1)
        finite = matrix[np.isfinite(matrix[:, tensor]), tensor]
        assert reached.largest[tensor] == (finite.max() if len(finite) else NO_GRADIENT)


def test_a_sampled_quantity_is_held_until_the_next_sample():
    binned = Binned(0, 6, 6, 1)
    binned.add(np.array([1, 4]), np.array([[2.0], [np.nan]], np.float32))
    binned.hold()
    np.testing.assert_equal(binned.values[:, 0], np.float32([NO_GRADIENT, 2, 2, 2, np.nan, np.nan]))


def test_vectors_of_another_width_or_beyond_the_steps_do_no_harm():
    binned = Binned(0, 2, 2, 2)
    binned.add(np.array([0, 1, 7]), np.array([[1.0], [-np.inf], [9.0]], np.float32))
    np.testing.assert_equal(binned.values, np.float32([[1, NO_GRADIENT], [np.inf, NO_GRADIENT]]))
    binned.add(np.array([9]), np.ones((1, 2), np.float32))
    binned.add(np.zeros(0, np.int64), np.zeros((0, 0), np.float32))
