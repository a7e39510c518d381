"""Weights whose norms have a ceiling."""

import math

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, perceptron, rows, with_remedy

HELD = "constrain-weight-norms"


def bottomless():
    """Pairs of one kind are pulled together, all others pushed apart, as far as they go."""
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9)
    losses = []
    for _ in range(60):
        x = torch.randn(32, 4)
        loss = (model(x) - model(x + 0.1)).square().mean() - (model(x) - model(-x)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses


def by_hand():
    """Ascent on captured variance, in raw tensors."""
    w = torch.randn(12, 2).div_(12**0.5).requires_grad_()
    spectrum = torch.linspace(2.0, 0.2, 12)
    losses = []
    for _ in range(300):
        loss = -((torch.randn(64, 12) * spectrum) @ w).square().mean()
        loss.backward()
        with torch.no_grad():
            w -= 0.1 * w.grad
            w.grad = None
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("training", [bottomless, by_hand])
def test_a_loss_without_a_bottom_gets_one(training):
    last = bare(training)[-1]
    assert not math.isfinite(last) or last < -1e12
    losses = with_remedy(training, HELD)
    assert all(map(math.isfinite, losses))
    assert -1e5 < end(losses) < 2 * losses[0] < 0


def test_the_directions_are_those_of_most_variance():
    """A gradient that only turns what it moves leads it where the loss is lowest at that length."""
    torch.manual_seed(0)
    w = torch.randn(12, 1).div_(12**0.5).requires_grad_()
    spectrum = torch.linspace(2.0, 0.2, 12)
    with Applied([intervention_for(HELD, factor=1.0)]):
        for _ in range(300):
            (-((torch.randn(256, 12) * spectrum) @ w).square().mean()).backward()
            with torch.no_grad():
                w -= 0.05 * w.grad
                w.grad = None
    assert abs(float((w[0] / w.norm()).detach())) > 0.95


def test_what_stays_within_is_not_touched():
    def training():
        model = perceptron()
        return fitted(model, torch.optim.Adam(model.parameters(), lr=3e-3), rows, 60)

    torch.manual_seed(0)
    applied = intervention_for(HELD)
    with Applied([applied]):
        losses = list(training())
    assert losses == bare(training)
    assert not applied.times


def test_the_ceiling():
    """Twice what it was; of what begins at zero twice what torch begins with."""
    model = nn.Linear(12, 12)
    nn.init.constant_(model.weight, 0.5)
    nn.init.zeros_(model.bias)
    first = float(model.weight.detach().norm())
    with Applied([intervention_for(HELD)]):
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model.weight.grad = 100 * model.weight.detach()
        model.bias.grad = torch.full((12,), -100.0)
        optimizer.step()
    assert float(model.weight.detach().norm()) == pytest.approx(2 * first)
    assert float(model.bias.detach().norm()) == pytest.approx(2 * math.sqrt(12 / 3))
    assert (model.bias > 0).all()


def test_weights_that_are_lost_stay_lost():
    model = nn.Linear(4, 1)
    applied = intervention_for(HELD)
    with Applied([applied]):
        optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
        model.weight.grad = torch.full((1, 4), math.nan)
        optimizer.step()
    assert model.weight.isnan().all()
    assert not applied.times
