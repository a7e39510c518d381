"""Promise 6: an error inside our own code detaches the watcher with one line; the user's run goes on."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad._foreach import group
from steadygrad._tap import CarriedState
from steadygrad._watch.sampler import Sampler
from steadygrad._watch.session import Session
from steadygrad.guard import Guard
from steadygrad.store import Recorder

PLACES = [
    (Guard, "judge"),
    (Session, "measure"),
    (Session, "__init__"),
    (Sampler, "begin"),
    (Sampler, "end"),
    (Recorder, "step"),
    (Recorder, "close"),
    (CarriedState, "learn"),
]


def train(steps=12, watched=True, record=False):
    torch.manual_seed(0)
    model = nn.Linear(4, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01)
    watch = sg.watch(model, optimizer, record=record) if watched else None
    for _ in range(steps):
        loss = model(torch.randn(8, 4)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    return model.weight.detach().clone()


@pytest.mark.parametrize(("owner", "name"), PLACES)
@pytest.mark.parametrize("after", [0, 1])
def test_an_error_of_ours_detaches(owner, name, after, monkeypatch, capfd, tmp_path):
    original, calls = getattr(owner, name), []

    def broken(self, *args, **kwargs):
        calls.append(name)
        if len(calls) > after:
            raise ZeroDivisionError("a defect in here")
        return original(self, *args, **kwargs)

    monkeypatch.setattr(owner, name, broken)
    weights = train(record=tmp_path)
    monkeypatch.undo()
    assert torch.equal(weights, train(watched=False))
    lines = [line for line in capfd.readouterr().err.splitlines() if "error inside" in line]
    assert len(lines) == (1 if len(calls) > after else 0)
    assert not lines or "a defect in here" in lines[0]


def test_grouping_is_what_the_hooks_use():
    assert sorted(group([torch.ones(1), torch.ones(1).double()]).values()) == [[0], [1]]
