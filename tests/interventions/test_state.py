"""What an optimizer and a model remember, begun anew."""

import copy
import math

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

MOMENTS = "reset-moments"
STATS = "reset-running-stats"

OPTIMIZERS = {
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=0.05),
}


def damaged(make, name, value, at=30, clears=False):
    """At some step, one of the moments is damaged, as by a bad cell of memory."""

    def training():
        model = perceptron()
        optimizer = make(model.parameters())
        losses = fitted(model, optimizer, rows, at)
        if clears:
            optimizer.state.clear()
        elif name:
            for state in optimizer.state.values():
                state[name].fill_(value)
        return losses + fitted(model, optimizer, rows, 60)

    return training


@pytest.mark.parametrize(
    ("kind", "name", "value"),
    [
        ("adam", "exp_avg", math.nan),
        ("adam", "exp_avg_sq", math.inf),
        ("adam", "exp_avg_sq", -1.0),
        ("momentum", "momentum_buffer", math.nan),
        ("adagrad", "sum", -1.0),
    ],
)
def test_moments_that_no_training_makes(kind, name, value):
    """As if the script had begun them anew, to the last bit."""
    run = damaged(OPTIMIZERS[kind], name, value, at=3)
    assert lost(bare(run)) or end(bare(run)) > 0.15, "lost, or it does not move any more"
    losses = with_remedy(run, MOMENTS)
    assert losses == bare(damaged(OPTIMIZERS[kind], None, None, at=3, clears=True))
    assert end(losses) < 0.15


def test_moments_that_are_finite_at_the_step_of_the_finding():
    run = damaged(OPTIMIZERS["momentum"], "momentum_buffer", 1e4)
    assert lost(bare(run))
    assert with_remedy(run, MOMENTS, step=30) == bare(damaged(OPTIMIZERS["momentum"], None, None, clears=True))


def test_moments_that_are_loaded():
    saved = {}

    def training(clears=False):
        model = perceptron()
        optimizer = OPTIMIZERS["momentum"](model.parameters())
        fitted(model, optimizer, rows, 5)
        saved.update(copy.deepcopy(optimizer.state_dict()))
        for state in saved["state"].values():
            state["momentum_buffer"].mul_(1e5)
        optimizer.load_state_dict(saved)
        if clears:
            optimizer.state.clear()
        return fitted(model, optimizer, rows, 60)

    assert lost(bare(training))
    assert with_remedy(training, MOMENTS) == bare(lambda: training(clears=True))


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_sound_moments_are_left_alone(kind):
    run = damaged(OPTIMIZERS[kind], None, None)
    losses, applied = under(run, intervention_for(MOMENTS))
    assert not applied.times
    assert losses == bare(run)


def test_no_hook_stays_on_an_optimizer():
    with Applied([intervention_for(MOMENTS)]):
        optimizer = torch.optim.SGD(nn.Linear(2, 1).parameters(), lr=0.1)
    assert not optimizer._optimizer_load_state_dict_post_hooks


def normalised(value, at=30, evaluates=True):
    """The running variance is damaged; in evaluation it shows."""

    def training():
        model = perceptron()
        model.insert(1, nn.BatchNorm1d(32, momentum=0.3))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        fitted(model, optimizer, rows, at)
        if value is not None:
            model[1].running_var.fill_(value)
        losses = []
        for _ in range(30):
            fitted(model, optimizer, rows, 1)
            model.eval()
            x, y = rows()
            losses.append(float((model(x) - y).square().mean().detach()))
            model.train()
        return losses

    return training


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_running_statistics_that_are_lost(value):
    assert lost(bare(normalised(value))) or end(bare(normalised(value))) > 0.4
    losses = with_remedy(normalised(value), STATS)
    assert all(map(math.isfinite, losses))
    assert end(losses) < 0.2


def test_running_statistics_that_are_finite_at_the_step_of_the_finding():
    """A variance of 1e12 hides every input for long: what is forgotten at the step of the finding is not in the way."""
    assert end(bare(normalised(1e12))) > 0.4
    assert end(with_remedy(normalised(1e12), STATS, step=30)) < 0.2


def frozen(value):
    """Fine-tuning with frozen norms, whose statistics came damaged from a checkpoint."""

    def training():
        model = perceptron()
        model.insert(0, nn.BatchNorm1d(model[0].in_features))
        model[0].running_mean.fill_(50.0)
        model[0].running_var.fill_(value)
        model[0].eval()
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.05), shifted, 100)

    return training


def shifted(number=0):
    """Inputs that need their norm."""
    x, y = rows(number)
    return 50.0 + 7.0 * x, y


def test_frozen_statistics_become_those_of_a_batch():
    """Zero and one, which they begin with, are right for no layer."""
    assert lost(bare(frozen(-0.1)))
    losses = with_remedy(frozen(-0.1), STATS)
    assert all(map(math.isfinite, losses))
    assert losses[0] < 4.0
    assert end(losses) < 0.2


def test_sound_statistics_are_left_alone():
    losses, applied = under(normalised(None), intervention_for(STATS))
    assert not applied.times
    assert losses == bare(normalised(None))
