"""How far updates go, and which learning rates have done no harm."""

import math
import random

import pytest

from steadygrad.guard.updates import HISTORY, LAG, THROWN, THROWN_AT_FIRST, HarmlessRate, UpdateLevel
from tests.guard.parts import kept


def history(ratio=0.001, count=40, spread=0.3, seed=0):
    updates, generator = UpdateLevel(), random.Random(seed)
    for _ in range(count):
        updates.push(ratio * math.exp(generator.gauss(0, spread)))
    return updates


@pytest.mark.parametrize("usual", [1e-6, 1e-3, 0.02])
def test_an_update_is_thrown_when_it_is_both_unusual_and_large(usual):
    updates = history(usual)
    assert not updates.thrown(usual)
    assert not updates.thrown(0.9 * THROWN), "however unusual"
    assert updates.thrown(2.0)
    assert updates.thrown(math.inf)
    assert updates.thrown(math.nan)


def test_where_large_updates_are_usual_they_are_not_thrown():
    updates = history(0.5)
    assert not updates.thrown(1.0)
    assert not updates.thrown(4.0)
    assert updates.thrown(500.0)


def test_without_a_history_only_what_goes_far_beyond_the_weights_is_thrown():
    updates = history(count=HISTORY - 1)
    assert not updates.thrown(0.9 * THROWN_AT_FIRST)
    assert updates.thrown(1.1 * THROWN_AT_FIRST)
    updates.push(0.001)
    assert updates.thrown(0.9 * THROWN_AT_FIRST)


def test_how_far_beyond_the_usual_is_known_and_never_above_one():
    updates = history(0.001, spread=0.0)
    assert updates.usual_over(1.0) == pytest.approx(0.001)
    assert updates.usual_over(1e-6) == 1.0
    assert UpdateLevel().usual_over(1.0) == 1.0
    assert updates.usual_over(math.nan) == 1.0


def test_steps_that_do_not_move_or_are_no_numbers_say_nothing_of_the_usual():
    updates = history()
    before = kept(updates)
    for ratio in (0.0, math.nan, math.inf, -1.0):
        updates.push(ratio)
    assert kept(updates) == before


def test_a_rate_is_harmless_only_when_the_loss_has_stayed_sound_for_a_while():
    rates = HarmlessRate()
    for check in range(LAG):
        rates.check(0.1, sound=True)
        assert rates.raised() == rates.raised(1.0) == 1.0, check
    rates.check(0.1, sound=True)
    rates.check(1.0, sound=True)
    assert rates.raised() == pytest.approx(10.0)
    for _ in range(LAG):
        rates.check(1.0, sound=True)
    assert rates.raised() == 1.0, "it was followed"


def test_a_rate_with_an_unsound_loss_is_never_harmless():
    rates = HarmlessRate()
    for _ in range(LAG + 1):
        rates.check(0.1, sound=True)
    for _ in range(100):
        rates.check(1.0, sound=False)
    assert rates.raised() == pytest.approx(10.0)
    assert rates.raised(0.1) == pytest.approx(1.0)
    assert rates.raised(0.05) == pytest.approx(0.5)


def test_rates_that_are_not_known_raise_nothing():
    rates = HarmlessRate()
    for _ in range(20):
        rates.check(None, sound=True)
    assert rates.raised() == 1.0
    assert rates.raised(5.0) == 1.0


def test_a_rate_is_good_only_while_the_loss_finds_new_best_levels():
    """One that creeps up is followed by a sound loss for long after it has ceased to be good."""
    rates = HarmlessRate()
    for check, best in enumerate([3.0, 2.5, 2.0, 1.5, 1.2, 1.1]):
        rates.check(0.1 * 1.5**check, sound=True, best=best)
    for check in range(6, 12):
        rates.check(0.1 * 1.5**check, sound=True, best=1.1)
    now = 0.1 * 1.5**12
    assert rates.beyond_good(now) == pytest.approx(1.5**8), "the rate eight steps before the last new best level"
    assert rates.raised(now) < rates.beyond_good(now)


def test_without_a_new_best_level_the_highest_harmless_rate_is_good():
    rates = HarmlessRate()
    assert rates.beyond_good(1.0) == 1.0
    for _ in range(LAG + 1):
        rates.check(0.1, sound=True)
    assert rates.beyond_good(1.0) == rates.raised(1.0) == pytest.approx(10.0)
    assert rates.beyond_good(None) == 0.0
