"""Data with holes, filled in wherever it meets what is trained."""

import math

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.missing_values import is_missing

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

FILL = "drop-or-impute-nonfinite-samples"


def holes(step):
    """Every twentieth cell of the inputs is empty."""
    x, y = rows()
    return torch.where(torch.rand(32, 4) < 0.05, math.nan, x), y


def infinities(step):
    x, y = rows()
    return torch.where(torch.rand(32, 4) < 0.05, math.inf, x), y


def silences(step):
    """A logarithm of nothing."""
    x, y = rows()
    return torch.where(torch.rand(32, 4) < 0.05, -math.inf, x), y


def unlabelled(step):
    x, y = rows()
    return x, torch.where(torch.rand(32, 1) < 0.1, math.nan, y)


def training(batch, loss_of=F.mse_loss, normalises=False):
    model = perceptron()
    if normalises:
        model.insert(1, nn.BatchNorm1d(32))
    return fitted(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), batch, 100, loss_of)


@pytest.mark.parametrize("normalises", [False, True])
@pytest.mark.parametrize("batch", [holes, infinities, silences, unlabelled])
def test_what_is_not_there_does_not_matter(batch, normalises):
    assert lost(bare(lambda: training(batch, normalises=normalises)))
    assert end(with_remedy(lambda: training(batch, normalises=normalises), FILL)) < 0.25


@pytest.mark.parametrize(
    "loss_of",
    [
        lambda a, b: (a - b).square().mean(),
        lambda a, b: (b - a).square().mean(),
        lambda a, b: F.mse_loss(input=a, target=b),
        lambda a, b: F.mse_loss(a, target=b),
        lambda a, b: F.smooth_l1_loss(a, b),
    ],
    ids=["minus", "reversed", "keywords", "keyword", "smooth-l1"],
)
def test_targets_are_filled_wherever_they_meet_the_prediction(loss_of):
    assert lost(bare(lambda: training(unlabelled, loss_of)))
    assert end(with_remedy(lambda: training(unlabelled, loss_of), FILL)) < 0.2


def test_a_target_that_is_not_there_has_no_gradient():
    """As if its sample were not in the batch."""
    x, y = rows()
    y[::4] = math.nan
    model = nn.Linear(4, 1)
    with Applied([intervention_for(FILL)]):
        (model(x) - y).square().sum().backward()
    found = model.weight.grad.clone()
    model.zero_grad()
    keep = y.isfinite().squeeze(1)
    (model(x[keep]) - y[keep]).square().sum().backward()
    assert torch.allclose(found, model.weight.grad, rtol=1e-5)


def test_by_hand():
    def training():
        w = torch.zeros(4, 1, requires_grad=True)
        losses = []
        for step in range(60):
            x, y = holes(step)
            loss = (x @ w - y).square().mean()
            loss.backward()
            with torch.no_grad():
                w -= 0.1 * w.grad
                w.grad = None
            losses.append(float(loss.detach()))
        return losses

    assert lost(bare(training))
    assert end(with_remedy(training, FILL)) < 0.3


def test_masks_are_no_missing_values():
    model = nn.MultiheadAttention(4, 1, batch_first=True)
    mask = torch.full((5, 5), -math.inf).triu(1)

    def training():
        x = torch.randn(2, 5, 4)
        scores = model.in_proj_weight[:4] @ x[0].T + mask[0]
        return [float(model(x, x, x, attn_mask=mask)[0].sum().detach()), float(scores.softmax(1).sum().detach())]

    losses, applied = under(training, intervention_for(FILL))
    assert losses == bare(training)
    assert not applied.times


def test_results_that_are_gathered_in_a_tensor_of_nan():
    model = nn.Linear(2, 1)
    with Applied([intervention_for(FILL)]):
        found, sums, more = torch.full((3, 1), math.nan), torch.full((3, 1), math.nan), torch.full((3, 1), math.nan)
        for row in range(3):
            found[row] = model(torch.ones(2))
        more.copy_(model(torch.ones(3, 2)))
        sums = sums.index_copy(0, torch.arange(3), model(torch.ones(3, 2)))
    assert found.isfinite().all()
    assert more.isfinite().all()
    assert found.requires_grad
    assert more.requires_grad


def test_what_is_trained_is_no_data():
    """A weight that is lost shows as lost."""
    w = torch.tensor([1.0, math.nan], requires_grad=True)
    applied = intervention_for(FILL)
    with Applied([applied]):
        assert (w * torch.ones(2)).isnan().any()
    assert not applied.times


@pytest.fixture
def new_memory_is_nan():
    """What `torch.empty` gives holds anything at all: here it is always NaN."""
    torch.use_deterministic_algorithms(True)
    yield
    torch.use_deterministic_algorithms(False)


def test_memory_that_nothing_was_written_to_is_no_data(new_memory_is_nan):
    """Lazy layers get theirs at the first pass, gradients on; a script may put one in a weight's place too."""
    lazy = nn.Sequential(nn.LazyLinear(8), nn.LazyBatchNorm1d(), nn.LazyConv1d(4, 1))
    plain = nn.Linear(4, 1)
    applied = intervention_for(FILL)
    with Applied([applied]):
        plain.weight.data = torch.empty(1, 4)
        plain.weight.grad = torch.empty(1, 4)
        lazy(torch.ones(2, 10, 4))
    assert plain.weight.isnan().all()
    assert plain.weight.grad.isnan().all()
    assert not applied.times


@pytest.mark.parametrize(
    ("value", "missing"),
    [
        (torch.tensor([1.0, math.nan]), True),
        (torch.tensor([1.0, math.inf]), True),
        (torch.tensor([1.0, -math.inf]), False),
        (torch.tensor([1.0, 2.0]), False),
        (torch.tensor([1, 2]), False),
        (torch.zeros(0), False),
        (torch.tensor([math.nan], requires_grad=True), False),
        (torch.tensor([math.nan]).to_sparse(), False),
        (3.0, False),
        (None, False),
    ],
)
def test_what_is_missing(value, missing):
    assert is_missing(value) is missing
