"""Sound trainings that look ill are left alone: no alarm, no verdict but "healthy", and nothing done."""

from functools import cache

import pytest
import torch

import steadygrad as sg
from tests.guard.faulty_trainings import deeds
from tests.guard.nasty_trainings import NASTY, descend

FAST = {
    "a_new_task",
    "converged_to_the_last_bit",
    "density_below_zero",
    "generator_that_loses",
    "hinge_at_zero",
    "lbfgs",
    "periodic_difficulty",
    "raw_pixels",
    "scaler_that_starts_too_high",
    "sparse_reward",
    "sparse_sgd",
}

EACH = [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in NASTY]


@pytest.fixture(autouse=True)
def _one_thread():
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def run(name, mode=None, record=None):
    """One training, and the watch on it if it had one."""
    watches = []

    def watch(model, *optimizers):
        if mode is not None:
            watches.append(sg.watch(model, optimizers, mode=mode, record=record))

    torch.manual_seed(0)
    try:
        outcome = NASTY[name](watch)
    finally:
        for each in watches:
            each.close()
    return outcome, watches[0] if watches else None


@cache
def bare(name):
    """The run that nobody watches, made once."""
    return run(name)[0]


def identical(left, right):
    return (
        left.losses == right.losses
        and left.state.keys() == right.state.keys()
        and all(torch.equal(value, right.state[name]) for name, value in left.state.items())
    )


def done_by_us(done):
    """What the scaler leaves out it leaves out without us too; only its record is ours."""
    return {action: count for action, count in done.actions.items() if action != "scaler-skip"}


@pytest.mark.parametrize("name", EACH)
def test_the_training_is_sound_and_as_nasty_as_its_name_says(name):
    assert bare(name).proof
    assert all(value.isfinite().all() for value in bare(name).state.values())


@pytest.mark.parametrize("name", EACH)
def test_protect_leaves_a_sound_training_alone(name, tmp_path):
    outcome, watch = run(name, "protect", tmp_path)
    done = deeds(watch.run)
    assert done.let_go == ""
    assert done.alarms == ()
    assert done.verdict == "healthy"
    assert done.lost == 0
    assert done.clips < 0.01 * done.steps
    assert set(done_by_us(done)) <= {"clip"}
    # Where a step was clipped the run is another one, and may end better as well as worse: only worse is harm.
    assert outcome.final <= bare(name).final + 0.005 * abs(bare(name).final)
    if not done_by_us(done) and done.clips == 0:
        assert identical(outcome, bare(name))


@pytest.mark.parametrize("name", EACH)
def test_observe_changes_nothing_to_the_last_bit(name, tmp_path):
    outcome, watch = run(name, "observe", tmp_path)
    done = deeds(watch.run)
    assert identical(outcome, bare(name))
    assert done.let_go == ""
    assert done.alarms == ()
    assert done.verdict == "healthy"
    assert done_by_us(done) == {}


def test_the_comparison_of_runs_sees_a_single_step():
    left, right = run("hinge_at_zero")[0], run("hinge_at_zero")[0]
    assert identical(left, right)
    model = right.models[0]
    descend(torch.optim.SGD(model.parameters(), lr=1e-6), model(torch.ones(1, 2)).sum())
    right.state = {f"0.{name}": value for name, value in model.state_dict().items()}
    assert not identical(left, right)
