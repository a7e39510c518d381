"""A last layer that trains as one that predicts standardised targets."""

import pytest
import torch
from torch import nn
from torch.overrides import _len_torch_function_stack

import steadygrad as sg
from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, under, with_remedy

LAST = "standardise-last-layer"
MEAN, SPREAD = 12_000.0, 3_000.0

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=0.05),
    "momentum": lambda params: torch.optim.SGD(params, lr=0.02, momentum=0.8, weight_decay=1e-3),
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2),
}


def training(make, standardised, *, outputs=1, loss=nn.functional.mse_loss, steps=30):
    def run():
        x = torch.randn(64, 4)
        wanted = x[:, :1] * x[:, 1:2] + 0.5 * x[:, 2:3] + torch.arange(outputs) * 0.3
        wanted = wanted - wanted.mean(0)
        wanted = wanted / wanted.square().mean().sqrt()
        y = wanted if standardised else SPREAD * wanted + MEAN * (1 + torch.arange(outputs))
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, outputs))
        return fitted(model, make(model.parameters()), lambda step: (x, y), steps, loss)

    return run


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_the_training_on_standardised_targets(name, outputs):
    """In other units: the loss that the script prints is that of its own."""
    wanted = bare(training(OPTIMIZERS[name], True, outputs=outputs))
    mine = with_remedy(training(OPTIMIZERS[name], False, outputs=outputs), LAST)
    assert [each / SPREAD**2 for each in mine] == pytest.approx(wanted, rel=1e-2)


@pytest.mark.parametrize("loss", [nn.functional.l1_loss, nn.functional.smooth_l1_loss, nn.functional.huber_loss])
def test_absolute_errors(loss):
    """Far from zero they grow as the error does; so wide a target has no other part."""
    wanted = bare(training(OPTIMIZERS["sgd"], True, loss=nn.functional.l1_loss))
    mine = with_remedy(training(OPTIMIZERS["sgd"], False, loss=loss), LAST)
    assert [each / SPREAD for each in mine] == pytest.approx(wanted, rel=1e-2)


def test_targets_in_their_own_units():
    run = training(OPTIMIZERS["momentum"], False, steps=400)
    assert lost(bare(run)) or end(bare(run)) > 0.5 * SPREAD**2
    assert end(with_remedy(run, LAST)) < 0.2 * SPREAD**2


def test_predictions_of_another_shape():
    def run(shaped):
        x = torch.randn(64, 4)
        y = SPREAD * x.sum(1) + MEAN
        model = perceptron()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
        return fitted(model, optimizer, lambda step: (x, y), 60, lambda out, y: nn.functional.mse_loss(shaped(out), y))

    for shaped in (lambda out: out.squeeze(1), lambda out: out[:, 0], lambda out: out.reshape(-1)):
        assert end(with_remedy(lambda shaped=shaped: run(shaped), LAST)) < 0.2 * 4 * SPREAD**2


def test_what_the_model_computes_is_the_prediction():
    """After it has gone the model predicts targets as they are."""
    torch.manual_seed(0)
    x = torch.randn(64, 4)
    y = SPREAD * x.sum(1, keepdim=True) + MEAN
    model = perceptron()
    with Applied([intervention_for(LAST)]):
        fitted(model, torch.optim.SGD(model.parameters(), lr=0.05), lambda step: (x, y), 200)
    assert nn.functional.mse_loss(model(x), y).item() < 0.1 * 4 * SPREAD**2


def test_a_step_that_is_left_out_changes_no_bit():
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), SPREAD * torch.randn(64, 1) + MEAN
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.0)
    with Applied([intervention_for(LAST)]):
        fitted(model, optimizer, lambda step: (x, y), 2)
        before = [each.detach().clone() for each in model.parameters()]
        fitted(model, optimizer, lambda step: (x, y), 3)
    assert all(map(torch.equal, before, model.parameters()))


def test_once_begun_it_looks_at_no_function():
    torch.manual_seed(0)
    x, y = torch.randn(64, 4), SPREAD * torch.randn(64, 1) + MEAN
    model = perceptron()
    before = _len_torch_function_stack()
    with Applied([intervention_for(LAST)]):
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        assert _len_torch_function_stack() == before + 1
        fitted(model, optimizer, lambda step: (x, y), 2)
        assert _len_torch_function_stack() == before
    assert _len_torch_function_stack() == before


@pytest.mark.parametrize("remedy", [LAST, "standardise-first-layer"])
def test_a_step_waits_for_no_device(remedy, monkeypatch):
    """No number is read once the layer is known."""
    torch.manual_seed(0)
    x, y = 100 * torch.randn(64, 4), SPREAD * torch.randn(64, 1) + MEAN
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)

    def step():
        nn.functional.mse_loss(model(x), y).backward()
        optimizer.step()

    applied = intervention_for(remedy)
    with Applied([applied]):
        step()
        reads = []
        for owner, name in ((torch, "equal"), (torch.Tensor, "__bool__"), (torch.Tensor, "__float__")):
            read = getattr(owner, name)
            monkeypatch.setattr(owner, name, lambda *args, read=read: reads.append(1) or read(*args))
        step()
    assert applied.times > 1
    assert not reads


class Writes(torch.optim.SGD):
    """A step as older optimizers make it: `.data` has a version of its own."""

    def step(self, closure=None):
        for param in self.param_groups[0]["params"]:
            param.data.add_(param.grad, alpha=-self.param_groups[0]["lr"])


@pytest.mark.parametrize("remedy", [LAST, "standardise-first-layer"])
def test_a_step_on_data_is_a_step(remedy):
    def run(kind):
        x = torch.randn(64, 4) * (1.0 if remedy == LAST else 100.0)
        y = x[:, :1] * SPREAD if remedy == LAST else x[:, :1] / 100
        model = perceptron()
        return fitted(model, kind(model.parameters(), lr=0.02), lambda step: (x, y), 10)

    assert with_remedy(lambda: run(Writes), remedy) == with_remedy(lambda: run(torch.optim.SGD), remedy)


@pytest.mark.parametrize(
    "loss",
    [lambda out, y: (out - y).square().mean(), lambda out, y: nn.functional.mse_loss(2 * out, y)],
    ids=["by hand", "not of the layer"],
)
def test_what_it_does_not_know_it_leaves_alone(loss):
    run = training(OPTIMIZERS["sgd"], True, loss=loss)
    losses, applied = under(run, intervention_for(LAST))
    assert losses == bare(run)
    assert applied.times == 0


@pytest.mark.parametrize("form", [lambda out: out.t(), lambda out: torch.relu_(out)], ids=["transposed", "in place"])
def test_what_lies_where_an_output_lay_and_is_none_is_left_alone(form):
    def run():
        x = torch.randn(32, 4)
        y = form(torch.stack([1e5 + 3e3 * x[:, 0], 50.0 + x[:, 1]], 1))
        model = nn.Linear(4, 2)
        optimizer = torch.optim.SGD(model.parameters(), lr=1e-12)
        return fitted(model, optimizer, lambda step: (x, y), 3, lambda out, y: nn.functional.mse_loss(form(out), y))

    losses, applied = under(run, intervention_for(LAST))
    assert applied.times == 0
    assert losses == bare(run)


class Interrupted(Exception):
    """Somebody has pressed Ctrl-C."""


@pytest.mark.parametrize("remedy", [LAST, "standardise-first-layer"])
def test_a_step_that_is_interrupted_leaves_the_model_as_the_script_has_it(remedy):
    class Stops(torch.optim.SGD):
        def step(self, closure=None):
            if stops:
                raise Interrupted
            return super().step(closure)

    stops = False
    torch.manual_seed(0)
    x = torch.randn(64, 4) if remedy == LAST else 100.0 + 30.0 * torch.randn(64, 4)
    y = torch.randn(64, 1) if remedy != LAST else SPREAD * torch.randn(64, 1) + MEAN
    model = perceptron()
    optimizer = Stops(model.parameters(), lr=0.01)
    with Applied([intervention_for(remedy)]) as applied:
        applied.adopt(optimizer)
        fitted(model, optimizer, lambda step: (x, y), 5)
        before = model(x).detach()
        stops = True
        with pytest.raises(Interrupted):
            fitted(model, optimizer, lambda step: (x, y), 1)
    assert torch.allclose(model(x), before, rtol=1e-4)


def watched(model, optimizer, y, steps, tmp_path):
    """A training that `--mode repair` looks after; `y` is made of the inputs. Returns losses, watch and its batch."""
    x = torch.randn(256, 4)
    losses = []
    with sg.watch(model, optimizer, mode="repair", record=tmp_path) as watch:
        losses += fitted(model, optimizer, lambda step: (x, y(x)), steps)
    return losses, watch, x


def regression():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 64), nn.GELU(), nn.Linear(64, 32), nn.GELU(), nn.Linear(32, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.8)


def test_a_state_that_is_kept_before_the_first_step_predicts_as_it_will(tmp_path):
    """What a rollback goes back to is in the units of the targets."""
    model, optimizer = regression()

    def far(x):
        return SPREAD * (x[:, :1] * x[:, 1:2] + x[:, 2:3]) + 40 * SPREAD

    losses, watch, x = watched(model, optimizer, far, 60, tmp_path)
    (session,) = watch._watcher.trainings
    assert session.recovery.restart(watch._watcher.trainings.parts(session, optimizer)) is not None
    again = nn.functional.mse_loss(model(x), far(x)).item()
    assert max(losses[2:]) < 4 * SPREAD**2, "never as far off as the mean"
    assert losses[-1] < again < 4 * SPREAD**2


def test_under_a_watch_the_loss_is_seen_once(tmp_path):
    """Who looks at all functions of torch has a loss call itself again."""
    model, optimizer = regression()

    def wanted(x):
        return SPREAD * (x[:, :1] * x[:, 1:2] + x[:, 2:3]) + MEAN

    losses, watch, _ = watched(model, optimizer, wanted, 150, tmp_path)
    repairs = [each.detail["remedy"] for each in sg.open_run(watch.run).main.actions() if each.action == "repair"]
    assert repairs == [LAST]
    assert losses[-1] < 0.3 * SPREAD**2
    assert max(losses[2:]) < 2 * losses[0]
