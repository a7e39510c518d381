"""What a run's losses say of it."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.trials import Series, faulty

NAN, INF = math.nan, math.inf
DOWN = [2.0 * 0.9**step + 0.1 for step in range(60)]
UP = [2.0 * 1.2**step for step in range(60)]
FLAT = [0.7] * 60
NOISY = [1.0, 1.2, 0.8] * 20
LOST = DOWN[:20] + [NAN] * 5
RISEN = DOWN[:40] + [1.5] * 20
BACK = DOWN[:20] + [1e6] + DOWN[20:]

losses = st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6), st.sampled_from([NAN, INF, -INF, 0.0, -0.0])), max_size=40)
finite = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=40)


@pytest.mark.parametrize(
    ("known", "broken", "learns"),
    [
        (DOWN, False, True),
        (UP, True, False),
        (FLAT, False, False),
        (NOISY, False, False),
        (LOST, True, False),
        (RISEN, True, False),
        (BACK, False, True),
        ([], True, False),
        ([1.0, 0.5], True, False),
        ([NAN, *DOWN], False, True),
        ([0.0] * 10, False, False),
        ([-loss for loss in UP], False, True),
        ([loss - 5.0 for loss in DOWN], False, True),
        ([-5.0, -5.5, -6.0, -5.8, -1.0, -0.9, -0.8, -0.8, -0.7, -0.7], True, False),
        ([None, 2.0, None, 1.0, 0.8, None, 0.6, 0.5, 0.5], False, True),
        ([2.0, 1.0, -INF, 1.0, 1.0], True, False),
    ],
)  # fmt: skip
def test_broken_and_learning(known, broken, learns):
    assert Series(known).broken is broken
    assert Series(known).learns is learns


def test_where_it_has_come_to():
    series = Series(DOWN)
    assert series.start == 2.1
    assert series.end == pytest.approx(DOWN[-3], rel=0.2)
    assert DOWN[-1] <= series.best <= series.end
    assert series.gained == pytest.approx(1 - series.end / 2.1)


def test_one_loss_that_is_not_finite_at_the_end_is_no_end():
    assert Series([*DOWN, NAN]).end == INF
    assert Series([*DOWN, NAN]).gained == -INF


def test_what_was_on_the_way_is_remembered():
    assert Series(DOWN).thrown == 1.0
    assert Series(BACK).thrown == pytest.approx(1e6 / 2.1)
    assert Series([1.0, NAN, 0.5]).thrown == INF
    assert Series([]).thrown == INF
    assert Series([-1.0, -2.0, 3.0]).thrown == 3.0


def test_noise_is_no_difference():
    assert Series(FLAT).noise == 0.0
    wave = Series([1.0 + 0.1 * (-1) ** step for step in range(100)])
    assert wave.noise == pytest.approx(1.4826 * 0.2 / math.sqrt(2))
    assert not wave.broken


def test_the_same_run_twice():
    assert Series(DOWN).like(Series(list(DOWN)))
    assert Series(DOWN).like(Series(DOWN[:10])), "as far as both go"
    assert Series(LOST).like(Series(LOST)), "a NaN is a NaN"
    assert not Series(DOWN).like(Series([DOWN[0] + 1e-12, *DOWN[1:]]))
    assert not Series([]).like(Series([]))


@settings(max_examples=200, deadline=None)
@given(known=losses)
def test_whatever_the_losses_are_something_is_said(known):
    series = Series(known)
    assert not (series.broken and series.learns)
    assert not math.isnan(series.end)
    assert not math.isnan(series.best)
    assert not math.isnan(series.thrown)
    assert not math.isnan(series.gained)
    assert series.noise >= 0.0 or series.noise == INF
    assert series.like(series) is bool(series.known)


@settings(max_examples=100, deadline=None)
@given(known=finite, scale=st.sampled_from([2.0**-20, 0.5, 4.0, 2.0**20]))
def test_units_do_not_matter(known, scale):
    one, other = Series(known), Series([loss * scale for loss in known])
    assert one.broken == other.broken
    assert one.learns == other.learns
    if abs(one.start) > 1e-3:
        assert other.thrown == pytest.approx(one.thrown)
        assert other.gained == pytest.approx(one.gained, rel=1e-6, abs=1e-9)


@settings(max_examples=100, deadline=None)
@given(known=finite)
def test_what_ends_not_finite_is_broken(known):
    assert Series([*known, NAN]).broken
    assert Series([*known, INF]).broken


class TestFaulty:
    def test_the_first_that_breaks(self):
        assert faulty([Series(DOWN), Series(FLAT), Series(UP), Series(LOST)]) == 2

    def test_else_the_first_that_learns_nothing(self):
        assert faulty([Series(DOWN), Series(FLAT)]) == 1

    def test_else_the_longest(self):
        assert faulty([Series(DOWN[:30]), Series(DOWN), Series(DOWN[:50])]) == 1

    def test_one_that_has_hardly_begun_is_not_judged(self):
        assert faulty([Series([1.0, 2.0]), Series(FLAT)]) == 1
        assert faulty([Series([]), Series(DOWN)]) == 1

    def test_none_at_all(self):
        assert faulty([]) == 0

    @settings(max_examples=100, deadline=None)
    @given(several=st.lists(losses, min_size=1, max_size=4))
    def test_it_is_always_one_of_them(self, several):
        assert 0 <= faulty([Series(each) for each in several]) < len(several)
