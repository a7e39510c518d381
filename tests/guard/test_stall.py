"""A run that never learns: a loss that has not fallen, and weight matrices that no gradient reaches. Both, for long."""

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad.guard import LossLevel, Stall
from steadygrad.guard.stall import BIASES, EVERY, FROM_STEP, LOOKS, UNREACHED

MATRICES = np.array([True, True, True, False])
VANISHED = np.array([1e-9, 1e-8, 0.1, 1.0])
"""Two of three matrices get nothing; the largest gradient is a bias'."""

SOUND = np.array([0.1, 0.2, 0.1, 1.0])


def flat(step):
    return 2.3 + 0.001 * (step % 3)


def told(loss=flat, norms=lambda step: VANISHED, matrices=MATRICES, steps=700, stall=None):
    """The steps at which a run is called stalled, with what is not reached."""
    stall, level, found = stall or Stall(), LossLevel(), []
    for step in range(steps):
        now = loss(step)
        if now is not None:
            level.push(now)
        stall.begin(now)
        if stall.due(step):
            unreached = stall.look(level, norms(step), matrices)
            if unreached:
                found.append((step, unreached))
    return found


FIRST = FROM_STEP + (LOOKS - 1) * EVERY


def test_it_is_told_once_with_the_places_that_get_nothing():
    assert told() == [(FIRST, [0, 1])]


@given(st.floats(0.5, 100.0), st.floats(0.05, 0.9))
def test_a_loss_that_falls_is_no_stall_wherever_the_gradient_goes(start, share):
    assert told(lambda step: start * (1.0 - share * min(1.0, step / 400))) == []


@given(st.floats(-100.0, 100.0).filter(lambda start: abs(start) > 0.1))
def test_the_size_and_the_sign_of_a_flat_loss_do_not_matter(start):
    assert told(lambda step: start * (1.0 + 1e-3 * (step % 3))) == [(FIRST, [0, 1])]


@given(st.integers(-12, 12))
def test_the_scale_of_the_gradients_does_not_matter(power):
    assert told(norms=lambda step: VANISHED * 10.0**power) == [(FIRST, [0, 1])]


@pytest.mark.parametrize(
    ("norms", "matrices"),
    [
        (SOUND, MATRICES),
        (SOUND * 1e-12, MATRICES),  # small everywhere: an end
        (np.zeros(4), MATRICES),
        (np.array([1e-9, 0.2, 0.1, 1.0]), MATRICES),  # one of three
        (np.array([1e-9, -1.0, -1.0, 1.0]), MATRICES),  # one matrix alone says nothing
        (VANISHED, np.zeros(4, dtype=bool)),
        (np.array([1.01 * UNREACHED, 1.01 * UNREACHED, 0.1, 1.0]), MATRICES),
    ],
    ids=["sound", "converged", "zero", "a-third", "one-matrix", "no-matrix", "reached"],
)
def test_a_flat_loss_alone_is_no_stall(norms, matrices):
    assert told(norms=lambda step: norms, matrices=matrices) == []


def test_tensors_without_a_gradient_are_neither_reached_nor_unreached():
    norms = np.array([-1.0, 1e-9, 1e-9, 1.0])
    assert told(norms=lambda step: norms) == [(FIRST, [1, 2])]


def test_what_the_last_bias_learns_at_first_is_not_learning():
    assert told(lambda step: 2.3 - min(1.0, step / (BIASES / 2))) == [(FIRST, [0, 1])]


@pytest.mark.parametrize("loss", [lambda step: 0.0, lambda step: None], ids=["nothing-to-learn-from", "not-known"])
def test_without_a_loss_to_fall_nothing_is_said(loss):
    assert told(loss) == []


def test_a_look_that_does_not_agree_begins_the_count_anew():
    sound_at = FROM_STEP + 2 * EVERY
    again = sound_at + LOOKS * EVERY
    assert told(norms=lambda step: SOUND if step == sound_at else VANISHED) == [(again, [0, 1])]


@given(st.integers(0, FIRST + 1))
def test_it_goes_on_from_its_state_as_if_it_had_never_stopped(cut):
    stall, level, found = Stall(), LossLevel(), []
    for step in range(FIRST + EVERY):
        if step == cut:
            state = json.loads(json.dumps(stall.state_dict()))
            stall = Stall()
            stall.load_state_dict(state)
        level.push(flat(step))
        stall.begin(flat(step))
        if stall.due(step) and stall.look(level, VANISHED, MATRICES):
            found.append(step)
    assert found == [FIRST]


def test_a_run_that_has_lost_what_it_had_learned_has_learned():
    """What its weights were once worth is not lost with a loss that has come up again."""
    stall, level = Stall(), LossLevel()
    for loss in (*[2.0] * 16, *[0.4] * 16, *[5.0] * 32):
        level.push(loss)
        stall.begin(loss)
    assert not stall.never_fell()
    assert level.level() > 2.0
    again = Stall()
    again.load_state_dict(json.loads(json.dumps(stall.state_dict())))
    assert not again.never_fell()
    again.begun_anew()
    assert again.never_fell()


def test_a_state_of_a_version_that_kept_less_is_gone_on_from():
    stall = Stall()
    for loss in [2.0] * 16:
        stall.begin(loss)
    state = {name: value for name, value in stall.state_dict().items() if name not in ("_last", "_lowest", "_at_look")}
    again = Stall()
    again.load_state_dict(state)
    assert again.first == 2.0
    assert again.never_fell()


def looked(loss, steps=600, norms=lambda step: SOUND):
    """The steps at which the loss rests, and those at which most weights are cut off."""
    stall, level, rests, cut = Stall(), LossLevel(), [], []
    for step in range(steps):
        level.push(loss(step))
        stall.begin(loss(step), 1.0)
        stall.bottomless(level, 1.0)  # as at each step of a run
        if stall.rests(level):
            rests.append(step + 1)
        if stall.cut_off(norms(step), MATRICES):
            cut.append(step + 1)
    return rests, cut


def test_a_loss_rests_where_it_has_not_fallen_since_half_as_many_steps():
    assert looked(lambda step: max(0.5, 2.0 - 0.02 * step) + 0.001 * (step % 3))[0] == [192, 256, 384, 512]
    assert looked(lambda step: 2.0 * 0.995**step)[0] == []


def test_where_the_loss_was_before_a_repair_says_nothing_of_whether_it_rests_after_it():
    stall, level, rests = Stall(), LossLevel(), []
    for step in range(512):
        level.push(1.0 + 0.001 * (step % 3))
        stall.begin(1.0, 1.0)
        stall.bottomless(level, 1.0)
        if stall.rests(level):
            rests.append(step + 1)
        if step == 200:
            stall.repaired()
    assert rests == [192, 512], "what was seen at 256 is the first after it"


def above(losses):
    """Whether a run of sixteen such losses is above its start."""
    stall, level = Stall(), LossLevel()
    for loss in losses:
        level.push(loss)
        stall.begin(loss)
    return stall.above_start(level)


SURROGATE = [-0.6, -1.6, -1.2, 0.1, 0.1, 0.8, 1.1, -0.5, 0.3, 1.5, 1.1, 0.7, 0.9, 1.1, 0.9, 0.7]


def test_a_loss_below_zero_is_above_its_start_where_it_lies_further_above_than_others_lay_below():
    assert not above(SURROGATE)
    assert above([*SURROGATE[:8], *(loss + 5.0 for loss in SURROGATE[8:])])
    assert above([-0.6, *[0.8] * 15]), "it has never been lower"


def test_weights_are_cut_off_where_most_gradients_are_zeros():
    """However the loss falls; tiny ones are no zeros, and a step without any gradient says nothing."""
    zeros = np.array([0.0, 0.0, 0.1, 1.0])
    assert looked(flat, norms=lambda step: zeros)[1] == [96]
    assert looked(flat, norms=lambda step: VANISHED)[1] == []
    assert looked(flat, norms=lambda step: 0 * zeros)[1] == []
    assert looked(flat, norms=lambda step: np.array([-1.0, -1.0, 0.0, 1.0]))[1] == []  # one of those that have any
