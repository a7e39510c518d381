"""A loss that has come up and stays there: lost by the weights, or asked of them anew?"""

import pytest
import torch
from torch import nn

import steadygrad as sg

STEPS, CHANGE = 360, 200
CLASSES = 8


class Training:
    """A classifier of points around centres, of fresh points at every step; what changes at `CHANGE` is up to a test."""

    def __init__(self, lr=0.01):
        torch.manual_seed(0)
        self.model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, CLASSES))
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=lr, weight_decay=0.0)
        self.centres = torch.randn(CLASSES, 16)
        self.penalty = 0.0
        self.losses = []

    def step(self):
        labels = torch.randint(CLASSES, (32,))
        points = self.centres[labels] + 0.5 * torch.randn(32, 16)
        loss = nn.functional.cross_entropy(self.model(points), labels)
        loss = loss + self.penalty * sum(param.square().sum() for param in self.model.parameters())
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.losses.append(loss.item())


def watched(tmp_path, training, change):
    with sg.watch(training.model, training.optimizer, record=tmp_path) as watch:
        for number in range(STEPS):
            if number == CHANGE:
                change(training)
            training.step()
    return sg.open_run(watch.run)


def decays(training):
    """A decay in percent where a fraction was wanted: the weights shrink to nothing, and no gradient stands out."""
    for group in training.optimizer.param_groups:
        group["weight_decay"] = 30.0


def test_weights_that_have_lost_what_they_knew_are_seen_against_those_of_before(tmp_path):
    training = Training()
    run = watched(tmp_path, training, decays)
    alarms = run.main.alarms()
    assert alarms[0].detector == "loss-divergence"
    told = alarms[0].detail
    assert told["loss_then"] < 0.5 < 1.2 < told["loss"]
    first = next(each for each in run.main.actions() if each.action == "roll-back")
    assert first.detail["to"] == told["weights_of"] < CHANGE + 8, "one step of the decay leaves most of it"
    assert CHANGE - 8 <= alarms[0].step <= CHANGE + 16, "the alarm is about where it began"
    back = training.losses[first.step + 1]
    assert back < 0.5, "what it goes back to is what was seen to be better"


def another_task(training):
    training.centres = training.centres[torch.randperm(CLASSES)]


def noisier_data(training):
    training.centres = 0.15 * training.centres


def heavier_penalty(training):
    training.penalty = 0.01


@pytest.mark.parametrize("change", [another_task, noisier_data, heavier_penalty])
def test_what_is_asked_anew_is_no_fault_of_the_weights(tmp_path, change):
    training = Training(lr=0.002)
    run = watched(tmp_path, training, change)
    before, after = training.losses[CHANGE - 8 : CHANGE], training.losses[CHANGE + 32 : CHANGE + 40]
    assert min(after) > max(before), "the loss has not come up"
    assert [each.detail for each in run.main.alarms()] == []
    assert run.verdict == "healthy"


def test_a_task_that_comes_back_is_no_fault_of_the_weights(tmp_path):
    """Weights of before do better on its batches, and worse on those of the time in between."""
    training = Training(lr=0.002)
    tasks = [training.centres, training.centres[torch.randperm(CLASSES)]]
    with sg.watch(training.model, training.optimizer, record=tmp_path) as watch:
        for number in range(4 * 150):
            training.centres = tasks[number // 150 % 2]
            training.step()
    returned = training.losses[300:340]
    assert min(returned[:36]) > 2 * max(training.losses[140:150]), "the loss has not come up"
    assert sg.open_run(watch.run).verdict == "healthy"


def test_there_are_few_comparisons_however_long_the_loss_stays_up(tmp_path, monkeypatch):
    from steadygrad._watch import comparison, kept

    asked = []
    real = comparison.losses_again
    monkeypatch.setattr(comparison, "losses_again", lambda *args: asked.append(1) or real(*args))
    watched(tmp_path, Training(lr=0.002), noisier_data)
    assert 1 <= len(asked) <= 1 + kept.MOST_COMPARED * 6
