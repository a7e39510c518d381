"""What goes into a recording comes out of it: every bit of every NaN, in bounded space, in the time of a training step."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.records import NO_GRADIENT, Action, Alarm, OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import MAX_OPTIMIZERS, Recorder, create_run, finish_run, list_runs, open_run
from steadygrad.store.tiers import AROUND, NEAR, STRIDE

numbers = st.one_of(st.none(), st.floats(allow_nan=True, allow_infinity=True))


def info(index=0, tensors=3):
    return OptimizerInfo(index, "SGD", tuple(TensorInfo(f"w{n}", (2, n), "float32") for n in range(tensors)))


def step(number, optimizer=0, loss=1.0, norm=1.0, action=""):
    return StepRecord(optimizer, number, float(number), loss, 0.1, norm, norm, 1.0, action)


def same(left, right):
    return left == right or (left != left and right != right)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(numbers, st.floats(allow_nan=True)), min_size=1, max_size=12))
def test_every_number_survives(tmp_path_factory, values):
    folder = create_run(tmp_path_factory.mktemp("runs"), "train", "protect", ())
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    made.optimizer(info())
    vector = np.array([np.nan, -np.inf, NO_GRADIENT], np.float32)
    vector.view(np.uint32)[0] = 0x7FC0BEEF
    for number, (loss, norm) in enumerate(values):
        made.step(step(number, loss=loss, norm=norm), vector.tobytes())
    made.close()
    recording = open_run(folder).main
    steps = recording.steps()
    for number, (loss, norm) in enumerate(values):
        assert steps.loss_known[number] == (loss is not None)
        assert loss is None or same(steps.loss[number], loss)
        assert same(steps.grad_norm[number], norm)
    _, matrix = recording.vectors("grad_norm")
    assert (matrix.view(np.uint32) == vector.view(np.uint32)).all()


def test_two_optimizers_actions_alarms_and_facts(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ("python", "train.py"))
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    for index in range(2):
        made.optimizer(info(index))
    for number in range(10):
        for index in range(2):
            made.step(step(number, index, loss=float(index)), np.ones(3, np.float32).tobytes())
    made.sample(1, 4, "update_ratio", np.full(3, 0.5, np.float32).tobytes())
    made.action(Action(1, 4, "skip", {"loss": float("nan")}))
    made.alarm(Alarm(1, 4, "nonfinite-loss", {}))
    made.facts({"overhead": {"seconds": 1.0}})
    made.close()
    finish_run(folder, -9)
    run = open_run(folder)
    assert run.manifest.status == -9
    assert run.main.step_counts() == {0: 10, 1: 10}
    assert set(run.main.steps(1).loss) == {1.0}
    assert list(run.main.steps(0, first=3, last=6).step) == [3, 4, 5]
    assert run.main.vectors("update_ratio", 1)[1].tolist() == [[0.5, 0.5, 0.5]]
    assert run.main.actions()[0].detail["loss"] != run.main.actions()[0].detail["loss"]
    assert run.main.alarms() == [Alarm(1, 4, "nonfinite-loss", {})]
    assert run.main.facts()["overhead"] == {"seconds": 1.0}
    assert list_runs(tmp_path) == [folder]


def test_groups_that_came_later_had_no_gradient_before(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    made.optimizer(info(tensors=1))
    made.step(step(0), np.ones(1, np.float32).tobytes())
    made.optimizer(info(tensors=3))
    made.step(step(1), np.ones(3, np.float32).tobytes())
    made.close()
    assert open_run(folder).main.vectors("grad_norm")[1].tolist() == [[1.0, NO_GRADIENT, NO_GRADIENT], [1.0, 1.0, 1.0]]


def test_more_optimizers_than_there_is_room_for_do_not_overwrite_others(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    for index in (0, MAX_OPTIMIZERS):
        made.optimizer(info(index))
        for number in range(3):
            made.step(step(number, index), np.ones(3, np.float32).tobytes())
    made.close()
    assert open_run(folder).main.step_counts() == {0: 3}


@pytest.mark.slow
def test_a_long_run_is_thinned_but_not_near_incidents(tmp_path):
    folder = create_run(tmp_path, "train", "protect", ())
    made = Recorder(folder / "rank0-1.db", lambda line: None)
    made.optimizer(info(tensors=150))
    vector = np.ones(150, np.float32).tobytes()
    count, incident = 60_000, 5_000
    for number in range(count):
        made.step(step(number), vector)
        if number == incident:
            made.alarm(Alarm(0, number, "gradient-spike", {}))
        if number % 1_000 == 0:
            made.flush()
    made.close()
    recording = open_run(folder).main
    assert len(recording.steps()) == count, "the scalars of every step stay"
    kept, _ = recording.vectors("grad_norm")
    assert set(range(count - NEAR, count)) <= set(kept)
    assert set(range(incident - AROUND, incident + AROUND + 1)) <= set(kept)
    old = kept[(kept < 20_000) & (abs(kept - incident) > AROUND)]
    assert (old % STRIDE == 0).all()
    assert recording.path.stat().st_size / count * 1e6 < 600e6
