"""Clips that a script makes in lines of its own: whether they cut gradients of the loss, or of one that is scaled."""

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis import diagnose

STEPS = 200


def clip(model, limit=1.0):
    total = torch.sqrt(sum(p.grad.pow(2).sum() for p in model.parameters()))
    if total > limit:
        for p in model.parameters():
            p.grad.mul_(limit / total)


def divide(model, scale):
    for p in model.parameters():
        p.grad.div_(scale)


def by_hand(scale, *, clip_first):
    def step(model, optimizer, loss):
        (scale * loss).backward()
        if clip_first:
            clip(model)
        divide(model, scale)
        if not clip_first:
            clip(model)
        optimizer.step()

    return step


def with_scaler(*, clip_first):
    scaler = torch.amp.GradScaler("cpu")

    def step(model, optimizer, loss):
        scaler.scale(loss).backward()
        if not clip_first:
            scaler.unscale_(optimizer)
        clip(model)
        scaler.step(optimizer)
        scaler.update()

    return step


def normalised(model, optimizer, loss):
    """Every step has the same length, a short one: a method of its own."""
    loss.backward()
    clip(model, 1e-3)
    optimizer.step()


def causes(tmp_path, step):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    with sg.watch(model, optimizer, mode="observe", record=tmp_path) as watch:
        for _ in range(STEPS):
            x = torch.randn(32, 8)
            loss = (model(x) - 3.0 * x[:, :1] * x[:, 1:2]).square().mean()
            optimizer.zero_grad()
            step(model, optimizer, loss)
    run = sg.open_run(watch.run)
    return run.verdict, [finding.cause for finding in diagnose(run)]


@pytest.mark.parametrize("step", [by_hand(4096.0, clip_first=True), with_scaler(clip_first=True)])
def test_a_run_that_learns_nothing_for_a_clip_of_scaled_gradients_says_so(tmp_path, step):
    verdict, found = causes(tmp_path, step)
    assert verdict == "stalled"
    assert found[0] == "clip-before-unscale"


@pytest.mark.parametrize(
    "step",
    [by_hand(4096.0, clip_first=False), with_scaler(clip_first=False), normalised],
)
def test_one_that_cuts_what_it_means_to_cut_is_not_blamed(tmp_path, step):
    _, found = causes(tmp_path, step)
    assert "clip-before-unscale" not in found
