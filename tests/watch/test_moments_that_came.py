"""Moments that come with an optimizer: no gradients make some of them, and that is an alarm before any harm is seen."""

import copy
import math

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._watch import looks

from .regression import actions, data, net, train


def trained(optimizer_of=torch.optim.Adam, steps=120, **options):
    """A model and its optimizer as a checkpoint has them."""
    model = net()
    optimizer = optimizer_of(model.parameters(), lr=3e-3, **options)
    for number in range(steps):
        x, y = data(number)
        optimizer.zero_grad()
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()
    return model, optimizer


def resumed(model, optimizer, change):
    """The same after a file, and what `change` has made of the moments on the way."""
    fresh = type(optimizer)(model.parameters(), lr=3e-3)
    state = copy.deepcopy(optimizer.state_dict())
    for moments in state["state"].values():
        change(moments)
    fresh.load_state_dict(state)
    return fresh


def times_127(moments):
    moments["exp_avg"] = moments["exp_avg"] * 127


def lost_squares(moments):
    moments["exp_avg_sq"] = torch.zeros_like(moments["exp_avg_sq"])


def nothing(moments):
    pass


def in_half(moments):
    for name in moments.keys() - {"step"}:
        moments[name] = moments[name].bfloat16().float() if isinstance(moments[name], torch.Tensor) else moments[name]


def in_eight_bits(moments):
    if "exp_avg" in moments:
        size = moments["exp_avg"].abs().max()
        moments["exp_avg"] = (moments["exp_avg"] / size * 127).round() / 127 * size


@pytest.mark.parametrize("mode", ["observe", "protect", "repair"])
@pytest.mark.parametrize("change", [times_127, lost_squares])
def test_what_no_gradients_make_is_an_alarm_at_the_first_step(change, mode, tmp_path):
    model, optimizer = trained()
    losses, watch = train(model, resumed(model, optimizer, change), 150, tmp_path, mode=mode)
    run = sg.open_run(watch.run)
    first = next(iter(run.main.alarms()))
    assert (first.step, first.detector) == (0, "impossible-moments")
    assert run.findings()[0].cause == "corrupt-state"
    if mode == "repair":
        done = [detail["remedy"] for _, action, detail in actions(watch) if action == "repair"]
        assert done == ["reset-moments"]
        assert sum(losses[-10:]) / 10 < losses[0]
        assert run.verdict == "recovered"


def test_new_moments_begin_at_a_lower_rate_that_comes_back(tmp_path):
    """Their first steps are as long as the rate lets any be: in a trained model that is too long."""
    model, optimizer = trained(steps=1500)
    _, watch = train(model, resumed(model, optimizer, lost_squares), 400, tmp_path, mode="repair")
    rates = sg.open_run(watch.run).main.steps().lr
    assert rates[1] < 3.3e-4
    assert rates[20:240:20].tolist() == sorted(rates[20:240:20])
    assert rates[120] < 1.5e-3
    assert rates[280:] == pytest.approx(3e-3)


def test_but_for_no_longer_than_the_old_ones_had_taken(tmp_path):
    model, optimizer = trained(steps=16)
    _, watch = train(model, resumed(model, optimizer, lost_squares), 60, tmp_path, mode="repair")
    rates = sg.open_run(watch.run).main.steps().lr
    assert rates[1] < 1e-3
    assert rates[24:] == pytest.approx(3e-3)


def test_protect_only_tells_of_them(tmp_path, monkeypatch):
    """What the loss makes it do it does with that alarm as without it."""
    seen = {}
    for least in (looks.IMPOSSIBLE, math.inf):
        monkeypatch.setattr(looks, "IMPOSSIBLE", least)
        model, optimizer = trained()
        losses, watch = train(model, resumed(model, optimizer, times_127), 120, tmp_path, mode="protect")
        told = [each.detector for each in sg.open_run(watch.run).main.alarms()]
        seen["impossible-moments" in told] = losses, [(step, action) for step, action, _ in actions(watch)]
    assert seen[True] == seen[False]


@pytest.mark.parametrize("kind", [torch.optim.Adam, torch.optim.AdamW, torch.optim.NAdam, torch.optim.RMSprop])
@pytest.mark.parametrize("change", [nothing, in_half, in_eight_bits])
def test_what_gradients_make_is_none(kind, change, tmp_path):
    model, optimizer = trained(kind)
    _, watch = train(model, resumed(model, optimizer, change), 60, tmp_path, mode="protect")
    assert not list(sg.open_run(watch.run).main.alarms())


def test_a_fresh_optimizer_is_not_asked(tmp_path):
    model = net()
    _, watch = train(model, torch.optim.Adam(model.parameters(), lr=3e-3), 40, tmp_path, mode="protect")
    assert not list(sg.open_run(watch.run).main.alarms())
