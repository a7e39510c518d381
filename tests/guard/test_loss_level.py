"""The level of the loss: worse, elevated, learned, whatever its sign and size."""

import math
import random
from itertools import pairwise
from statistics import median

import pytest

from steadygrad.guard import LossLevel
from tests.guard.parts import LOSSES


def level_of(*losses):
    level = LossLevel()
    for loss in losses:
        level.push(loss)
    return level


def falling(steps=100, start=3.0, end=1.0, noise=0.02, seed=0):
    generator = random.Random(seed)
    size = abs(start - end)
    return [start + (end - start) * step / steps + size * noise * generator.gauss(0, 1) for step in range(steps)]


@pytest.mark.parametrize("kind", LOSSES)
def test_words_about_the_loss_are_the_same_at_any_sign_and_scale(kind):
    start, end = LOSSES[kind]
    span = start - end
    for up, elevated, worse in ((0.0, False, False), (0.35, True, False), (0.8, True, True), (5.0, True, True)):
        level = level_of(*falling(start=start, end=end), *[end + up * span] * 8)
        assert level.elevated() is elevated, (kind, up)
        assert level.worse() is worse, (kind, up)


@pytest.mark.parametrize("kind", LOSSES)
def test_a_single_loss_is_far_above_by_the_noise_and_the_progress(kind):
    start, end = LOSSES[kind]
    level, span = level_of(*falling(start=start, end=end)), start - end
    assert not level.far_above(end)
    assert not level.far_above(end - 100 * span)
    assert not level.far_above(end + 0.1 * span)
    assert level.far_above(end + 2 * span)


def test_with_few_losses_far_above_is_twice_the_first():
    assert not LossLevel().far_above(1e9)
    assert not level_of(2.0).far_above(3.9)
    assert level_of(2.0).far_above(4.1)
    assert level_of(-2.0).far_above(0.1)
    assert not level_of(-2.0).far_above(-0.1)


@pytest.mark.parametrize(("start", "up"), [(3.0, 1.0), (-5.0, 1.0), (3e-9, 1e-9)])
def test_above_the_start_is_worse_than_no_training_at_all(start, up):
    below = falling(start=start, end=start - 5 * up, noise=0.001)
    assert not level_of(*below).above_start()
    assert not level_of(*below, *[start] * 64).above_start()
    assert level_of(*below, *[start + up] * 64).above_start()


@pytest.mark.parametrize(("start", "above", "below"), [(2.0, 4.1, 3.9), (-1.0, 0.1, -0.1)])
def test_with_few_losses_a_level_is_above_the_start_at_twice_it(start, above, below):
    young = level_of(start, start)
    assert young.above_start(above)
    assert not young.above_start(below)
    assert not young.above_start(), "it has no level of its own yet"


def test_with_fewer_than_eight_losses_nothing_is_said():
    level = level_of(*[1.0] * 6, 1e9)
    assert not level.worse()
    assert not level.elevated()
    assert not level.above_start()
    assert level.level() is None
    assert not level.known


def test_the_level_is_the_median_of_the_last_eight_and_the_best_the_lowest_of_them():
    generator = random.Random(1)
    losses = [generator.uniform(-5, 5) for _ in range(200)]
    level, best = LossLevel(), math.inf
    for place, loss in enumerate(losses):
        level.push(loss)
        if place >= 7:
            now = median(losses[place - 7 : place + 1])
            best = min(best, now)
            assert level.level() == now
            assert level.best == best


def test_noise_alone_never_makes_it_worse():
    """As good as never: six times the noise of one loss, for a median of eight."""
    for seed in range(30):
        generator = random.Random(seed)
        level = LossLevel()
        for _ in range(500):
            level.push(generator.gauss(0, 1))
            assert not level.worse()


def test_a_rebased_level_starts_anew_from_where_it_is():
    level = level_of(*falling(), *[2.5] * 20)
    assert level.worse()
    level.rebase()
    assert not level.worse()
    assert not level.elevated()
    assert level.best == 2.5
    assert level_of(1.0).rebase() is None


@pytest.mark.parametrize("up", [True, False])
def test_noise_that_grows_with_the_loss_does_not_hide_that_it_is_lost(up):
    """Weights that grow without end: the loss is ten times its best, and no two losses are alike."""
    generator = random.Random(1)
    level = level_of(*falling(steps=120, start=1.4, end=0.6, noise=0.1))
    for step in range(240):
        level.push(0.6 * math.exp((0.012 * step if up else 0.0) + 0.6 * generator.gauss(0, 1)))
    assert level.learned()
    assert level.worse() is up
    assert not level_of(*[5.0] * 300).worse()


def test_a_run_that_drifts_on_is_told_of_again_each_time_it_has_gone_as_far_again():
    """Somebody may have said of the first time that it was the task."""
    level, told = LossLevel(), []
    for step in range(600):
        loss = 2.0 + 0.1 * math.sin(step) if step < 100 else 2.0 * 1.03 ** (step - 100)
        level.push(loss)
        if level.diverges(loss):
            told.append(loss)
        if step == 100:
            assert not level.is_beyond_tasks()
    assert told[0] < 100.0 * 2.0
    assert all(15.0 < after / before < 60.0 for before, after in pairwise(told))
    assert len(told) >= 3
    assert level.is_beyond_tasks()
