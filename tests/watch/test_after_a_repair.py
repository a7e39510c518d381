"""What a repair has made of a training outlives the watch that has made it: its end, an error of ours, a restart."""

import copy

import pytest
import torch
from torch import nn

import steadygrad as sg

from .regression import data, net, repairs


def raw(number):
    x, y = data(number)
    return x * torch.tensor([1.0, 10.0, 1e3, 1e4, 1.0, 300.0]) + torch.tensor([0.0, 50.0, 3e4, 1e5, 0.0, 0.0]), y


def dear(number):
    x, y = data(number)
    return x, 3e4 * y + 9e4


def made():
    model = net()
    model[1] = nn.ReLU()
    return model


def go(model, optimizer, batch, numbers, loss_of=nn.functional.mse_loss):
    losses = []
    for number in numbers:
        x, y = batch(number)
        loss = loss_of(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    return losses


@pytest.mark.parametrize("batch", [raw, dear], ids=["inputs", "targets"])
@pytest.mark.parametrize(
    "make",
    [lambda params: torch.optim.SGD(params, lr=0.02, momentum=0.9), lambda params: torch.optim.Adam(params, lr=1e-2)],
    ids=["sgd", "adam"],
)
@pytest.mark.parametrize("end", ["closed", "failed"])
def test_layers_that_are_trained_as_others_are_so_when_the_watch_is_gone(make, batch, end, tmp_path, monkeypatch):
    """Moments are those of V and c: the next step would be one of another size."""
    model = made()
    optimizer = make(model.parameters())
    calls = nn.Module.__call__
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        losses = go(model, optimizer, batch, range(200))
        if end == "failed":
            monkeypatch.setattr("steadygrad._watch.session.Session.measure", lambda *rest: 1 / 0)
            losses += go(model, optimizer, batch, [200])
            monkeypatch.undo()
            losses += go(model, optimizer, batch, range(201, 260))
    assert nn.Module.__call__ is calls, "nothing of the process is held"
    losses += go(model, optimizer, batch, range(len(losses), 320))
    if not repairs(watch):
        pytest.skip("Adam gets on without")
    before = sorted(losses[150:200])[25]
    assert max(losses[200:]) < 10 * max(losses[150:200])
    assert sorted(losses[-50:])[25] < 1.5 * before


def summed(output, y):
    return nn.functional.mse_loss(output, y, reduction="sum")


def checkpoint(batch, loss_of, rate, tmp_path):
    """Of a run that was repaired, and how that run goes on."""
    model = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        go(model, optimizer, batch, range(150), loss_of)
        kept = copy.deepcopy((model.state_dict(), optimizer.state_dict(), watch.state_dict()))
        wanted = go(model, optimizer, batch, range(150, 250), loss_of)
    assert len(repairs(watch)) == 1
    return kept, wanted


@pytest.mark.parametrize("times", [1, 2])
@pytest.mark.parametrize("mode", ["repair", "protect"])
@pytest.mark.parametrize(
    ("batch", "loss_of", "rate"),
    [(raw, nn.functional.mse_loss, 0.02), (dear, nn.functional.mse_loss, 0.02), (data, summed, 0.1)],
    ids=["inputs", "targets", "sum"],
)
def test_a_resumed_run_is_repaired_as_it_was(batch, loss_of, rate, mode, times, tmp_path):
    """From a checkpoint of model, optimizer and watch it goes on as if it had never stopped, to the last digits.

    A state that is loaded once more takes the place of the first.
    """
    kept, wanted = checkpoint(batch, loss_of, rate, tmp_path)
    model = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=rate, momentum=0.9)
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for _ in range(times):
            watch.load_state_dict(kept[2])
        found = go(model, optimizer, batch, range(150, 250), loss_of)
    assert found == pytest.approx(wanted, rel=1e-3)
    assert not repairs(watch)


@pytest.mark.parametrize("times", [1, 2])
def test_one_that_is_only_observed_has_its_layers_too(times, tmp_path):
    """Without them its moments would be of another size."""
    kept, wanted = checkpoint(raw, nn.functional.mse_loss, 0.02, tmp_path)
    model = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    model.load_state_dict(kept[0])
    optimizer.load_state_dict(kept[1])
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        watch.load_state_dict(kept[2])
        found = go(model, optimizer, raw, range(150, 200))
        if times == 2:
            watch.load_state_dict(watch.state_dict() | {"optimizers": kept[2]["optimizers"]})
        found += go(model, optimizer, raw, range(200, 250))
    assert found == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize("told", ["idle", "ignorant"])
def test_that_a_run_was_seen_to_know_nothing_is_known_after_a_restart(told, tmp_path):
    """It decides whether a remedy may overwrite weights, long after the alarm that told of it."""
    kept, _ = checkpoint(raw, nn.functional.mse_loss, 0.02, tmp_path)
    (state,) = kept[2]["optimizers"]
    assert state["repairs"][told] is False
    state["repairs"][told] = True
    model = made()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        watch.load_state_dict(kept[2])
        go(model, optimizer, raw, range(150, 152))
        (now,) = watch.state_dict()["optimizers"]
    assert now["repairs"][told] is True
