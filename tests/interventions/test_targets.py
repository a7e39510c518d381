"""Targets in standard units."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, with_remedy

TARGETS = "standardise-targets"


def dollars(step):
    x, y = rows()
    return x, 2e5 * (3 + y)


def priced(loss_of):
    model = perceptron()
    return fitted(model, torch.optim.SGD(model.parameters(), lr=0.02, momentum=0.9), dollars, 120, loss_of)


@pytest.mark.parametrize("loss_of", [lambda a, b: F.mse_loss(a, b), nn.MSELoss()], ids=["function", "module"])
def test_prices_in_dollars(loss_of):
    def training():
        return priced(loss_of)

    assert lost(bare(training))
    assert end(with_remedy(training, TARGETS)) < 0.1, "in units of the targets' variance"


@pytest.mark.parametrize("loss_of", [nn.L1Loss(), nn.SmoothL1Loss(), nn.HuberLoss()], ids=["l1", "smooth-l1", "huber"])
def test_losses_whose_gradient_is_bounded_never_get_there(loss_of):
    stalls = bare(lambda: priced(loss_of))
    assert end(stalls) > 0.8 * stalls[0]
    assert end(with_remedy(lambda: priced(loss_of), TARGETS)) < 0.3


def test_it_is_the_training_on_standardised_targets():
    torch.manual_seed(1)
    x = torch.randn(64, 4)
    y = 500 + 20 * x[:, :1]

    def training(target):
        model = nn.Linear(4, 1)
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.1), lambda _: (x, target), 20, nn.MSELoss())

    wanted = bare(lambda: training((y - y.mean()) / y.std(unbiased=False)))
    assert with_remedy(lambda: training(y), TARGETS) == pytest.approx(wanted, rel=1e-4)


def test_targets_of_two_tasks_have_their_own_units():
    """One a column, one a vector: neither its numbers nor its shape comes into the other's."""
    seen = []
    with Applied([intervention_for(TARGETS)]):
        for _ in range(2):
            big, small = torch.randn(16, 1) * 1e5, torch.randn(16) * 1e-3
            seen = [
                F.mse_loss(torch.zeros(16, 1), big, reduction="none"),
                F.mse_loss(torch.zeros(16), small, reduction="none"),
            ]
    assert [each.shape for each in seen] == [(16, 1), (16,)]
    assert [float(each.mean()) for each in seen] == pytest.approx([1.0, 1.0], rel=0.6)


def test_what_is_no_number_to_predict_is_left_alone():
    """Targets that are trained, or all the same."""
    with Applied([intervention_for(TARGETS)]):
        trained = torch.full((3,), 4.0, requires_grad=True)
        assert float(F.mse_loss(torch.zeros(3), trained).detach()) == 16.0
        assert float(F.mse_loss(torch.zeros(3), torch.full((3,), 5.0))) == 25.0
