"""What takes a remedy back, and what does not: an alarm, a plateau, a later spike."""

import math
from pathlib import Path

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch.prescriptions import Prescriptions
from steadygrad.findings import Finding
from steadygrad.interventions.gradients import ZeroGradBeforeBackward
from steadygrad.trials import Candidate

from .regression import actions, data, net, repairs, train

HOLDOUT = Path(__file__).parents[1] / "diagnosis" / "fourteenth_holdout"


def test_a_remedy_that_does_not_help_is_taken_back(tmp_path, monkeypatch):
    """One that clears nothing: alarms go on, and nothing of ours stays on the training."""
    monkeypatch.setattr(ZeroGradBeforeBackward, "_clear", lambda self, params: None)
    before = nn.Module.__call__, torch.autograd.backward
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.3, momentum=0.9)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        try:
            for number in range(200):
                x, y = data(number)
                nn.functional.mse_loss(model(x), y).backward()
                optimizer.step()
        except sg.TrainingDiverged:
            pass
    done = [(action, detail.get("remedy")) for _, action, detail in actions(watch)]
    assert ("repair", "zero-grad-before-backward") in done
    assert ("undo-repair", "zero-grad-before-backward") in done
    assert [action for action, _ in done].count("repair") <= 4
    assert (nn.Module.__call__, torch.autograd.backward) == before


def waves(step):
    """Six classes by their frequency: a net needs some hundred steps before it sees any of it."""
    generator = torch.Generator().manual_seed(step)
    classes = torch.randint(6, (60,), generator=generator)
    phases = 6.28 * torch.rand(60, 3, 1, generator=generator)
    wave = torch.sin(6.28 * (1.0 + 0.6 * classes[:, None, None]) * torch.linspace(0, 1, 50) + phases)
    return ((wave + 0.4 * torch.randn(60, 3, 50, generator=generator)).flatten(1) / 0.8, classes)


def pinned(scale):
    torch.manual_seed(9)
    layers = []
    for width in (150, 192, 192):
        layers += [nn.Linear(width, 192), nn.Tanh()]
        nn.init.normal_(layers[-2].weight, std=scale / width**0.5)
        nn.init.zeros_(layers[-2].bias)
    head = nn.Linear(192, 6)
    nn.init.zeros_(head.weight)
    nn.init.zeros_(head.bias)
    return nn.Sequential(*layers, head)


@pytest.mark.slow
def test_a_remedy_after_which_the_fault_is_gone_stays_however_long_the_run_takes(tmp_path):
    """Also the sound net learns nothing for 150 steps: that is no word against what has mended it."""
    model = pinned(14.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    losses, watch = train(model, optimizer, 600, tmp_path, loss_fn=nn.functional.cross_entropy, batch=waves)
    assert len(repairs(watch)) == 1
    assert not [action for _, action, _ in actions(watch) if action == "undo-repair"]
    assert min(losses[:120]) > 1.5, "it begins to learn before it is asked"
    assert losses[-1] < 0.3


class Exploding(nn.Module):
    """Branches each of which makes ten of one."""

    def __init__(self):
        super().__init__()
        self.enter = nn.Linear(150, 48)
        self.branches = nn.ModuleList(nn.Sequential(nn.Linear(48, 96), nn.ReLU(), nn.Linear(96, 48)) for _ in range(8))
        self.head = nn.Linear(48, 6)
        for branch in self.branches:
            for layer in (branch[0], branch[2]):
                nn.init.xavier_normal_(layer.weight, gain=4.0)

    def forward(self, x):
        x = self.enter(x)
        for branch in self.branches:
            x = x + branch(x)
        return self.head(x)


def test_a_remedy_under_which_the_run_has_learned_is_not_taken_back_for_a_later_spike(tmp_path):
    torch.manual_seed(0)
    model = Exploding()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)

    def spiked(step):
        x, classes = waves(step)
        return (x * 300.0 if step in range(40, 44) else x), classes

    _, watch = train(model, optimizer, 120, tmp_path, loss_fn=nn.functional.cross_entropy, batch=spiked)
    assert repairs(watch)[0] in {"auto-initialisation", "rescale-initialisation"}
    undone = [detail["remedy"] for _, action, detail in actions(watch) if action == "undo-repair"]
    assert repairs(watch)[0] not in undone


def test_a_rate_that_is_given_back_is_recorded(tmp_path, monkeypatch):
    """A lower one mends no batch: with the remedy its factor goes, and whoever reads the run can see when."""
    wrong = Finding("learning-rate", 0.9, "optimizer 0", "said to be so")
    lower = Candidate("lower-learning-rate", options={"factor": 0.5})
    monkeypatch.setattr(Prescriptions, "wanted", lambda self, session: iter([(wrong, lower)]))
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-4)

    def spiked(step):
        x, y = data(step)
        return (x * math.nan if step in (20, 40) else x), y

    _, watch = train(model, optimizer, 60, tmp_path, batch=spiked)
    done = [(action, detail.get("remedy") or detail.get("factor")) for _, action, detail in actions(watch)]
    asked = [each for each in done if each[0] in {"repair", "undo-repair", "return-lr"}]
    assert asked == [("repair", "lower-learning-rate"), ("return-lr", 1.0), ("undo-repair", "lower-learning-rate")]


def test_a_rate_that_was_lowered_before_the_cause_was_known_comes_back_once_that_is_put_right(tmp_path, monkeypatch):
    """Gradients pile up; the guard lowers the rate, which mends nothing, and what does is found later."""
    cause = Finding("missing-zero-grad", 0.97, "optimizer.zero_grad", "said to be so")
    clear = Candidate("zero-grad-before-backward")
    known = []
    monkeypatch.setattr(Prescriptions, "wanted", lambda self, session: iter(known))
    model = net()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)

    def batch(step):
        if step == 200:
            known.append((cause, clear))
        return data(step)

    _, watch = train(model, optimizer, 600, tmp_path, clear=False, batch=batch)
    done = [(step, action, detail.get("remedy") or detail.get("factor")) for step, action, detail in actions(watch)]
    lowered = [step for step, action, _ in done if action == "lower-lr"]
    held = next(step for step, action, _ in done if action == "repair-held")
    assert lowered
    assert lowered[0] < 200 < held
    assert (held, "return-lr", 1.0) in done
    assert not [step for step in lowered if step > held]


def test_steps_that_swing_about_what_there_is_to_learn_are_made_shorter(runner):
    """Its recurrence holds what it is told by now; at this rate it takes luck to learn from it."""
    script = HOLDOUT / "failing/vanishing-recurrent/first_word_sentiment.py"
    runner.write(script.read_text())
    ran = runner.watched("--mode", "repair", "train.py")
    done = [each.detail for each in sg.open_run(ran.folder).main.actions() if each.action == "repair"]
    assert [each["remedy"] for each in done[1:]] == ["orthogonal-recurrent-init", "lower-learning-rate"]
    assert done[-1]["factor"] == 0.25
    assert ran.summary["verdict"] == "recovered"
    assert ran.summary["loss"]["last"] < 0.5
