"""A loss far above that of a model which says nothing: falling all the time, and never of any use."""

import math

import pytest
import torch
from torch import nn

import steadygrad as sg


class Tower(nn.Module):
    """Residual blocks of which each doubles the stream, if they begin as large as that."""

    def __init__(self, gain, blocks=16):
        super().__init__()
        self.first, self.last = nn.Linear(8, 32), nn.Linear(32, 1)
        self.blocks = nn.ModuleList(nn.Linear(32, 32) for _ in range(blocks))
        for block in self.blocks:
            nn.init.normal_(block.weight, std=gain / 32**0.5)

    def forward(self, x):
        x = self.first(x)
        for block in self.blocks:
            x = x + block(x).relu()
        return self.last(x)


def train(tmp_path, gain, *, units=1.0, mode="protect", steps=120):
    torch.manual_seed(0)
    model = Tower(gain)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for _ in range(steps):
            x = torch.randn(32, 8)
            loss = (model(x) - units * x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return loss.item(), sg.open_run(watch.run)


def test_a_loss_that_falls_and_is_still_worse_than_nothing_is_an_alarm(tmp_path):
    loss, run = train(tmp_path, 5.0)
    assert loss > 30, "a model that says nothing has 1"
    assert [(each.detector, each.step) for each in run.main.alarms()] == [("out-of-scale", 15)]
    assert run.findings()[0].cause == "init-gain"


def test_and_is_put_right(tmp_path):
    loss, run = train(tmp_path, 5.0, mode="repair", steps=400)
    assert loss < 0.5
    assert run.verdict == "recovered"


@pytest.mark.parametrize("units", [1.0, 1e4])
def test_targets_in_other_units_are_no_fault_of_the_model(tmp_path, units):
    """Nor is a loss of 1e8, where a model that says nothing has as much."""
    _, run = train(tmp_path, 0.1, units=units)
    assert run.main.alarms() == []


def test_a_summed_loss_whose_steps_do_no_harm_is_none_either(tmp_path):
    """It is looked at, being as large as that of no guess; steps that are tried beside the training say that it helps."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(36, 64), nn.ReLU(), nn.Linear(64, 36))
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-3)
    losses = []
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(100):
            x = (torch.rand(128, 36) < 0.3).float()
            loss = nn.functional.binary_cross_entropy_with_logits(model(x), x, reduction="sum")
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert losses[0] > losses[-1] > 1000
    assert sg.open_run(watch.run).main.alarms() == []


def test_a_loss_out_of_all_scale_is_seen_although_the_script_clips_its_gradients(tmp_path):
    """A norm of 1 is nothing to be alarmed at; the loss stays where it is."""
    torch.manual_seed(0)
    model = Tower(8.0)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(100):
            x = torch.randn(32, 8)
            loss = (model(x) - x[:, :1]).square().mean()
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
    assert loss.item() > 1e6
    run = sg.open_run(watch.run)
    assert [(each.detector, each.step) for each in run.main.alarms()] == [("out-of-scale", 15)]
    assert run.findings()[0].cause == "init-gain"
    assert run.verdict == "unstable"


class Tied(nn.Module):
    """Words whose embedding, drawn with a spread of one, is what logits are made with, too."""

    def __init__(self):
        super().__init__()
        self.words = nn.Embedding(24, 96)
        self.mix = nn.GRU(96, 96, batch_first=True)

    def forward(self, x):
        embedded = self.words(x)
        return (embedded + self.mix(embedded)[0]) @ self.words.weight.T


@pytest.mark.parametrize("mode", ["observe", "protect", "repair"])
def test_a_loud_start_that_is_on_its_way_to_a_guess_is_waited_for(tmp_path, mode):
    torch.manual_seed(0)
    model = Tied()
    optimizer = torch.optim.Adam(model.parameters(), lr=4e-3)
    losses = []
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for _ in range(80):
            x = torch.randint(24, (16, 12))
            loss = nn.functional.cross_entropy(model(x).flatten(0, 1), ((x * 5 + 1) % 24).flatten())
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert min(losses[:16]) > 30, "it is loud at the first look"
    assert losses[-1] < 0.5
    assert sg.open_run(watch.run).main.alarms() == []


def classify(tmp_path, size, *, lr, steps=140, mode="protect", clip=None):
    """Twelve classes of points by a net whose head begins `size` times as large as torch's; its best and last loss."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 12))
    with torch.no_grad():
        model[2].weight.mul_(size)
    centres = torch.randn(12, 16)
    optimizer = torch.optim.AdamW(model.parameters(), lr=lr)
    losses = []
    with sg.watch(model, optimizer, mode=mode, record=tmp_path) as watch:
        for _ in range(steps):
            y = torch.randint(0, 12, (32,))
            loss = nn.functional.cross_entropy(model(centres[y] + 0.5 * torch.randn(32, 16)), y)
            optimizer.zero_grad()
            loss.backward()
            if clip is not None:
                nn.utils.clip_grad_norm_(model.parameters(), clip)
            optimizer.step()
            losses.append(loss.item())
    return losses, sg.open_run(watch.run)


@pytest.mark.parametrize("clip", [None, 1.0])
def test_a_head_that_is_sure_of_all_classes_and_worse_than_a_guess_after_sixty_steps_is_an_alarm(clip, tmp_path):
    losses, run = classify(tmp_path, 40, lr=1e-3, clip=clip)
    assert losses[0] > 3 * math.log(12)
    assert [(each.detector, each.step) for each in run.main.alarms()] == [("out-of-scale", 63)]
    found = run.findings()[0]
    assert (found.cause, found.where) == ("init-gain", "2")


def test_one_that_unlearns_it_in_time_is_none(tmp_path):
    losses, run = classify(tmp_path, 40, lr=2e-2)
    assert losses[0] > 3 * math.log(12) > math.log(12) > losses[63]
    assert run.main.alarms() == []


def test_nor_is_one_that_begins_with_a_guess_and_learns_nothing(tmp_path):
    """Many classes have a large loss: that of a guess."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Embedding(50, 32), nn.Linear(32, 2000))
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    with sg.watch(model, optimizer, record=tmp_path) as watch:
        for _ in range(90):
            x, y = torch.randint(0, 50, (32,)), torch.randint(0, 2000, (32,))
            loss = nn.functional.cross_entropy(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    assert loss.item() > math.log(2000)
    assert sg.open_run(watch.run).main.alarms() == []
