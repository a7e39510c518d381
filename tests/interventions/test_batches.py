"""Batches far outside of what the others are, left out."""

import math

import pytest
import torch
from torch import nn

from steadygrad.interventions import intervention_for
from steadygrad.interventions.batches import FEWEST, IN_A_ROW

from .runs import bare, end, lost, perceptron, rows, under, with_remedy

DROP = "drop-outlier-samples"
OPTIMIZERS = {
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2),
}


def training(kind="momentum", bad=(40,), inputs=1.0, targets=1.0, leaves_out=False, steps=100):
    def run():
        model = perceptron()
        optimizer = OPTIMIZERS[kind](model.parameters())
        losses = []
        for step in range(steps):
            x, y = rows()
            if step in bad:
                x, y = x.clone(), y * targets
                x[3, 2] *= inputs
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            if not (leaves_out and step in bad):
                optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    return run


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(("inputs", "targets"), [(1e5, 1.0), (1.0, 1e5)], ids=["inputs", "targets"])
def test_a_batch_left_out_is_a_step_left_out(kind, inputs, targets):
    """To the last bit: no moment and no counter knows of it."""
    run = training(kind, inputs=inputs, targets=targets)
    wanted = bare(training(kind, inputs=inputs, targets=targets, leaves_out=True))
    assert not sum(bare(run)[41:51]) < 1.5 * sum(wanted[41:51]), "it does harm"
    losses = with_remedy(run, DROP)
    assert losses == wanted
    assert end(losses) < 0.15


def test_a_healthy_training_loses_no_batch():
    losses, applied = under(training(bad=()), intervention_for(DROP))
    assert not applied.times
    assert losses == bare(training(bad=()))


def test_before_anything_is_usual_nothing_is_left_out():
    _, applied = under(training(bad=(FEWEST - 1,), inputs=1e5, steps=FEWEST), intervention_for(DROP))
    assert not applied.times


def test_data_that_has_changed_for_good_is_not_left_out_for_ever():
    """What comes again and again is what the data is now."""
    bad = tuple(range(20, 60))

    def run():
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-5)
        for step in range(60):
            loss = model(torch.randn(8, 4) * (100.0 if step in bad else 1.0)).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return []

    _, applied = under(run, intervention_for(DROP))
    assert IN_A_ROW <= applied.times < len(bad)


def test_losses_that_are_not_finite_are_no_measure_of_what_is_usual():
    """After some of them, a batch far outside is still seen."""
    applied = intervention_for(DROP)
    optimizer = torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1)

    def left_out(loss):
        applied.factor(torch.tensor(loss))
        return applied.before_step(optimizer)

    for step in range(40):
        assert not left_out(math.nan if step % 2 else 1.0)
    assert left_out(100.0)
    assert not left_out(1.5)


def test_by_hand():
    def run():
        weights = [(torch.randn(4, 16) / 2).requires_grad_(), (torch.randn(16, 1) / 4).requires_grad_()]
        losses = []
        for step in range(80):
            x, y = rows()
            loss = (torch.relu(x @ weights[0]) @ weights[1] - (y * 1e6 if step == 40 else y)).square().mean()
            grads = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for p, grad in zip(weights, grads, strict=True):
                    p -= 0.1 * grad
            losses.append(float(loss.detach()))
        return losses

    assert lost(bare(run)) or end(bare(run)) > 1
    assert end(with_remedy(run, DROP)) < 0.2
