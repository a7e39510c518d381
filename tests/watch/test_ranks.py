"""Ranks decide alike: what only one of them sees (its loss, its buffers, its clock, its memory) decides nothing."""

import math

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._snapshot import Room, TrainingParts
from steadygrad._watch.recovery import Recovery
from steadygrad._watch.sampler import Sampler
from steadygrad.guard import Guard


@pytest.fixture
def of_two(monkeypatch):
    """A process that a launcher has told to be one of two; what the other one does is no matter here."""
    monkeypatch.setenv("WORLD_SIZE", "2")
    monkeypatch.setenv("RANK", "0")


@pytest.mark.parametrize("alone", [True, False])
def test_an_alarm_of_one_rank_moves_no_sample(alone):
    sampler = Sampler([torch.ones(4)], by_clock=alone)
    for step in range(3):
        sampler.begin()
        sampler.end(step)
    sampler.alarmed(3)
    assert sampler.due(4) == alone


@pytest.mark.parametrize("alone", [True, False])
def test_a_broken_buffer_of_one_rank_puts_off_no_snapshot(alone):
    model = nn.Linear(4, 1)
    model.register_buffer("seen", torch.zeros(2))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    recovery = Recovery(
        0,
        optimizer,
        Guard(),
        room=Room(10**6),
        every=16,
        alone=alone,
        holds=True,
        for_good=False,
        say=lambda line: None,
    )
    parts, names = TrainingParts(list(model.parameters()), optimizer, [model]), ["weight", "bias"]
    recovery.begin(0, parts, names)
    model._buffers["seen"] = torch.full((3,), math.nan)  # of another shape: nothing can be put back
    for step in range(40):
        recovery.before(optimizer)
        recovery.made(step + 1, optimizer, parts, names)
    assert (recovery.ring.newest().step > 0) == (not alone)


@pytest.mark.parametrize("ranks", ["1", "2"])
def test_how_much_a_step_changes_of_a_ranks_own_loss_decides_nothing(ranks, of_two, monkeypatch, tmp_path):
    """The gradient of a bias stands out; beside one rank's loss it is next to nothing, beside the other's it is not."""
    monkeypatch.setenv("WORLD_SIZE", ranks)

    def trained(offset):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(2, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1))
        for param in model.parameters():
            nn.init.normal_(param, std=1e-3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9)
        with sg.watch(model, optimizer, record=tmp_path) as watch:
            for step in range(20):
                loss = (1e-3 if step < 12 else 10.0) * (model(torch.ones(8, 2)) - 1.0).mean() + offset
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        coefficients = sg.open_run(watch.run).main.steps(0).coefficient
        return coefficients.tolist(), [param.tolist() for param in model.parameters()]

    one, other = trained(1.0), trained(1e9)
    assert min(one[0]) < 1.0
    assert (one == other) == (ranks == "2")


@pytest.mark.parametrize("fused", [False, True])
def test_a_loss_that_is_not_finite_in_a_step_that_the_scaler_leaves_out_is_one_ranks_own(of_two, tmp_path, fused):
    """The overflow is the same on all ranks, the loss behind it is not."""
    torch.manual_seed(0)
    model = nn.Linear(8, 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
    scaler = torch.amp.GradScaler("cpu")
    with sg.watch(model, optimizer, record=tmp_path, snapshot_memory="1MB") as watch:
        for number in range(60):
            x = torch.randn(16, 8)
            loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (math.nan if 20 <= number < 30 else 1.0)
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            assert watch._watcher.trainings.known(optimizer).recovery.incident is None
    assert {action.action for action in sg.open_run(watch.run).main.actions()} == {"scaler-skip"}


@pytest.mark.parametrize("fused", [False, True])
def test_a_scaler_that_does_not_find_its_scale_is_seen_alike_whatever_a_ranks_loss(of_two, tmp_path, fused):
    """One rank has a loss that is not finite, the other the same overflow behind a sound one: both act at one step."""

    def begins(bad):
        torch.manual_seed(0)
        model = nn.Linear(8, 1)
        if not bad:
            model.weight.register_hook(lambda grad: grad * math.inf)  # what the other rank's loss makes of the mean
        optimizer = torch.optim.AdamW(model.parameters(), lr=0.01, fused=fused)
        scaler = torch.amp.GradScaler("cpu")
        with sg.watch(model, optimizer, record=tmp_path, snapshot_memory="1MB") as watch:
            for number in range(30):
                loss = model(torch.randn(16, 8)).square().mean() * (math.nan if bad else 1.0)
                optimizer.zero_grad()
                scaler.scale(loss).backward()
                scaler.step(optimizer)
                scaler.update()
                if watch._watcher.trainings.known(optimizer).recovery.incident is not None:
                    return number
        return None

    assert begins(bad=True) == begins(bad=False) == 19
