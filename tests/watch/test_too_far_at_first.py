"""Steps that are longer than the weights from the first one on: no clip holds them, a rate that weights bear does."""

import math

import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.diagnosis import diagnose

PASSES = 40


class Residual(nn.Module):
    """Blocks that are added to what they are given, as deep nets have them."""

    def __init__(self, width=16, depth=3):
        super().__init__()
        self.enter, self.leave = nn.Linear(8, width), nn.Linear(width, 1)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))

    def forward(self, x):
        h = self.enter(x)
        for block in self.blocks:
            h = h + torch.relu(block(h))
        return self.leave(h).squeeze(1)


def batch(number):
    x = torch.randn(8, 8, generator=torch.Generator().manual_seed(number))
    return x, torch.sin(2 * x[:, 0]) + x[:, 1]


def train(steps, watched=None, lr=0.08):
    """Losses of passes whose gradients are summed for each step, as if nobody had divided them by their number."""
    torch.manual_seed(0)
    model = Residual()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr, momentum=0.5)
    losses = []

    def loop():
        for number in range(steps * PASSES):
            x, y = batch(number)
            loss = nn.functional.mse_loss(model(x), y)
            loss.backward()
            losses.append(loss.item())
            if number % PASSES == PASSES - 1:
                optimizer.step()
                optimizer.zero_grad()

    if watched is None:
        loop()
        return losses, None
    with sg.watch(model, optimizer, record=watched) as watch:
        loop()
    return losses, sg.open_run(watch.run)


def test_it_goes_back_once_and_learns_at_a_rate_that_it_bears(tmp_path):
    bare, _ = train(60)
    assert not math.isfinite(sum(bare[-PASSES:])) or sum(bare[-PASSES:]) > 100 * sum(bare[:PASSES]), "it is not lost"
    losses, run = train(60, tmp_path)
    done = [each.action for each in run.main.actions()]
    assert done.count("roll-back") == 1
    assert "stop" not in done
    assert sum(losses[-PASSES:]) < 0.5 * sum(losses[:PASSES])


def test_it_is_known_that_gradients_of_many_passes_were_summed_for_the_first_step(tmp_path):
    _, run = train(30, tmp_path)
    first = diagnose(run)[0]
    assert first.cause in ("loss-scale", "learning-rate")
    summed = next(each for each in diagnose(run) if each.cause == "loss-scale")
    assert summed.evidence["passes"] == PASSES


@pytest.mark.parametrize("rate", [1e-3, 3e-3])
def test_a_rate_that_it_bears_raises_no_alarm(tmp_path, rate):
    _, run = train(40, tmp_path, lr=rate)
    assert not list(run.main.alarms())
