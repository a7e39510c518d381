"""First protection: one NaN and one 1e6-fold step in the middle of training, and faults in the very first steps."""

import math

import pytest

import steadygrad as sg
from tests.trainings import train

NAN = math.nan


def actions(run, *names):
    return [action.step for action in sg.open_run(run).main.actions() if action.action in names]


@pytest.mark.parametrize(
    ("architecture", "optimizer"),
    [
        ("mlp", "sgd-momentum"),
        ("rnn", "adam"),
        ("lstm", "fused-adamw"),
        ("transformer", "adam"),
        ("conv", "sgd-momentum"),
    ],
)
def test_two_faults_cost_less_than_one_percent(architecture, optimizer, tmp_path):
    steps = 600
    clean = train(architecture, optimizer, steps=steps)
    faulty = train(
        architecture,
        optimizer,
        steps=steps,
        faults={300: NAN, 350: 1e6, 400: NAN},
        watched=True,
        record=tmp_path,
    )
    assert actions(faulty.run, "skip") == [300, 400]
    assert 350 in actions(faulty.run, "clip")
    assert abs(faulty.validation / clean.validation - 1) < 0.01
    assert sg.open_run(faulty.run).verdict == "recovered"


@pytest.mark.parametrize("optimizer", ["sgd-momentum", "adam", "fused-adamw"])
def test_the_bare_run_does_not_survive_the_faults(optimizer):
    assert math.isnan(train("mlp", optimizer, faults={10: NAN}).validation)


@pytest.mark.parametrize("optimizer", ["sgd-momentum", "adam", "fused-adamw", "lbfgs"])
@pytest.mark.parametrize("step", [0, 1, 2])
@pytest.mark.parametrize("factor", [NAN, 1e6])
def test_a_fault_in_the_first_steps_is_caught(optimizer, step, factor, tmp_path):
    faulty = train("lstm", optimizer, steps=40, faults={step: factor}, watched=True, record=tmp_path)
    run = sg.open_run(faulty.run)
    assert run.main.alarms()[0].step == step
    assert faulty.validation < train("lstm", optimizer, steps=1).validation
    assert math.isfinite(faulty.validation)


def test_every_second_step_bad_is_survived(tmp_path):
    faulty = train("lstm", "adam", steps=60, faults=dict.fromkeys(range(0, 60, 2), NAN), watched=True, record=tmp_path)
    assert actions(faulty.run, "skip") == list(range(0, 60, 2))
    assert math.isfinite(faulty.validation)


def test_observe_only_looks(tmp_path):
    import torch

    torch.manual_seed(0)
    model = torch.nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        (model(torch.full((1, 2), NAN))).sum().backward()
        optimizer.step()
    assert model.weight.isnan().all()
    run = sg.open_run(watch.run)
    assert [alarm.detector for alarm in run.main.alarms()] == ["nonfinite-gradient"]
    assert run.main.actions() == []
    assert run.verdict == "unstable"
