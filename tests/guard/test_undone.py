"""Steps whose gain is lost by whoever writes weights, from losses and what was written alone."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.guard import Undone
from steadygrad.guard.undone import CYCLES, SHORTEST


def told(losses, writes):
    """The step at which it is said, `writes` having the part that was undone before a step."""
    undone = Undone()
    for step, loss in enumerate(losses):
        if step in writes:
            undone.written(writes[step])
        undone.push(loss)
        if undone.gains_nothing():
            return step
    return None


def sawtooth(steps, every, *, kept=0.0, noise=0.0, seed=0):
    """Losses that fall by 1 over `every` steps, of which a write keeps the part `kept`."""
    draw = random.Random(seed)
    return [4.0 - (step % every) / every - kept * (step // every) + noise * draw.gauss(0, 1) for step in range(steps)]


@pytest.mark.parametrize("every", [SHORTEST, 10, 40, 300])
def test_what_is_lost_each_time_is_told_of_once_enough_writes_agree(every):
    steps = every * (CYCLES + 2)
    writes = dict.fromkeys(range(every, steps, every), 0.95)
    assert told(sawtooth(steps, every), writes) == every * CYCLES
    assert told(sawtooth(steps, every, noise=0.03), writes) is not None


@pytest.mark.parametrize(
    ("every", "back", "kept"),
    [
        pytest.param(10, 0.5, 0.0, id="half of the way back"),
        pytest.param(10, 0.95, 0.2, id="a fifth of each gain is kept"),
        pytest.param(SHORTEST - 1, 1.0, 0.0, id="a part of each step"),
        pytest.param(10, math.nan, 0.0, id="no way"),
    ],
)
def test_others_are_not(every, back, kept):
    writes = dict.fromkeys(range(every, 400, every), back)
    assert told(sawtooth(400, every, kept=kept), writes) is None


def test_a_write_that_leads_on_begins_the_count_anew():
    writes = dict.fromkeys(range(10, 60, 10), 0.95) | {60: 0.1} | dict.fromkeys(range(70, 110, 10), 0.95)
    assert told(sawtooth(110, 10), writes) is None


@pytest.mark.parametrize("every", [8, 16, 50])
@pytest.mark.parametrize("noise", [0.02, 0.3, 1.5])
def test_noise_alone_is_next_to_never_taken_for_it(every, noise):
    """A loss that does not fall between writes has nothing to lose; three standard errors of six differences, asked
    again with each of twelve writes."""
    told_of = 0
    for seed in range(300):
        draw = random.Random(seed)
        losses = [2.0 + noise * draw.gauss(0, 1) for _ in range(12 * every + 1)]
        told_of += told(losses, dict.fromkeys(range(every, len(losses), every), 1.0)) is not None
    assert told_of <= 0.05 * 300


@settings(deadline=None)
@given(st.integers(1, 3))
def test_what_arrives_late_is_of_the_steps_it_is_about(ago):
    now, late = Undone(), Undone()
    for step, loss in enumerate(sawtooth(100, 10)):
        if step and step % 10 == 0:
            now.written(0.9)
        now.push(loss)
        late.push(loss)
        if step % 10 == ago - 1 and step >= 10:
            late.written(0.9, ago=ago)
        if step % 10 == 9:
            assert late.gains_nothing() == now.gains_nothing()
    assert late.cycle() == now.cycle()


def test_a_write_that_comes_with_each_step_is_not_worth_asking_about():
    undone = Undone()
    for _ in range(SHORTEST - 1):
        undone.push(1.0)
        assert not undone.matters()
    undone.push(1.0)
    assert undone.matters()
    assert not undone.matters(ago=1)
    undone.written(1.0)
    assert not undone.matters()


def test_it_goes_on_from_its_state():
    first, losses = Undone(), sawtooth(61, 10)
    for step, loss in enumerate(losses[:37]):
        if step and step % 10 == 0:
            first.written(0.9)
        first.push(loss)
    second = Undone()
    second.load_state_dict(first.state_dict())
    for step, loss in enumerate(losses[37:], 37):
        if step % 10 == 0:
            second.written(0.9)
        second.push(loss)
    assert second.gains_nothing()
    assert not second.gains_nothing()
