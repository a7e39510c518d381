"""What a loss adds up, and by what the script has multiplied each part of it."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from steadygrad._tap import PassTap, quiet
from steadygrad.examination import Subject, examine


def raising(error):
    raise error


def terms(loss_of):
    """The terms of a loss of what a layer says, its error and its size: by name, factor and value."""
    torch.manual_seed(0)
    model, x, y = nn.Linear(4, 3), torch.randn(6, 4), torch.randn(6, 3)
    tap = PassTap(raising)
    tap.follow([model])
    out = model(x)
    loss = loss_of(F.mse_loss(out, y), out.abs().mean(), out)
    tap.conclude(loss)
    with quiet():
        names = [name for name, _ in model.named_parameters()]
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        found = examine(Subject(tap.passes(), [], optimizer, list(model.parameters()), names))
    tap.remove()
    assert found.problem == ""
    with torch.no_grad():
        error, size = float(F.mse_loss(model(x), y)), float(model(x).abs().mean())
    return [(each.name, each.factor, each.value) for each in found.evidence.terms], error, size


@pytest.mark.parametrize(
    ("loss_of", "factor"),
    [
        (lambda error, size, out: error, 1.0),
        (lambda error, size, out: 3.0 * error, 3.0),
        (lambda error, size, out: error * 3 / 12, 0.25),
        (lambda error, size, out: -(error * -5.0), 5.0),
        (lambda error, size, out: torch.tensor(7.0) * error, 7.0),
        (lambda error, size, out: error * torch.full((), 2.0), 2.0),
        (lambda error, size, out: error.mul(0.5), 0.5),
        (lambda error, size, out: 65536.0 * error, 1.0),  # a loss scale
    ],
)
def test_a_loss_of_one_term(loss_of, factor):
    (found,), error, _ = terms(loss_of)
    assert found == ("mse_loss", pytest.approx(factor), pytest.approx(error, rel=1e-5))


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda error, size, out: error + 0.1 * size,
        lambda error, size, out: torch.add(error, size * 0.1),
        lambda error, size, out: sum([error, 0.1 * size]),
        lambda error, size, out: 2.0 * (0.5 * error - size / -20),
    ],
)
def test_a_loss_of_two(loss_of):
    (first, second), error, size = terms(loss_of)
    assert first == ("mse_loss", pytest.approx(1.0), pytest.approx(error, rel=1e-5))
    assert second == ("mean", pytest.approx(0.1), pytest.approx(size, rel=1e-5))


def test_what_was_drawn_is_no_number_of_the_scripts():
    (found,), _, _ = terms(lambda error, size, out: torch.rand(()) * error)
    assert found[:2] == ("__mul__", 1.0) or found[:2] == ("mul", 1.0)


def test_a_sum_over_many_samples_is_one_of_them():
    found, _, _ = terms(lambda error, size, out: sum(row.square().mean() for row in out.repeat(4, 1)))
    assert found == []
