"""A summed loss, averaged."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import intervention_for
from steadygrad.interventions.reduction import summed_terms

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

MEAN = "mean-reduction"


def training(loss_of, lr=0.1, momentum=0.0):
    model = perceptron()
    return fitted(model, torch.optim.SGD(model.parameters(), lr=lr, momentum=momentum), rows, 60, loss_of)


def summed(a, b):
    return F.mse_loss(a, b, reduction="sum")


def test_a_sum_with_the_rate_of_a_mean():
    assert lost(bare(lambda: training(summed)))
    assert end(with_remedy(lambda: training(summed), MEAN)) < 0.1 * 32


@pytest.mark.parametrize(
    ("adds", "averages"),
    [
        (summed, F.mse_loss),
        (lambda a, b: (a - b).square().sum(), lambda a, b: (a - b).square().mean()),
        (lambda a, b: (a - b).abs().sum(0).sum(), lambda a, b: (a - b).abs().mean()),
        (lambda a, b: F.smooth_l1_loss(a, b, reduction="sum"), F.smooth_l1_loss),
        (lambda a, b: F.binary_cross_entropy_with_logits(a, (b > 0).float(), reduction="sum"),
         lambda a, b: F.binary_cross_entropy_with_logits(a, (b > 0).float())),
        (lambda a, b: F.cross_entropy(torch.cat([a, -a], 1), (b > 0).long().squeeze(1), reduction="sum"),
         lambda a, b: F.cross_entropy(torch.cat([a, -a], 1), (b > 0).long().squeeze(1))),
        (lambda a, b: sum(F.mse_loss(p, q) for p, q in zip(a, b, strict=True)), F.mse_loss),
    ],
    ids=["mse", "by-hand", "twice", "smooth-l1", "bce", "cross-entropy", "python-sum"],
)  # fmt: skip
def test_it_trains_as_the_mean_does(adds, averages):
    wanted = bare(lambda: training(averages, momentum=0.5))
    found = with_remedy(lambda: training(adds, momentum=0.5), MEAN)
    assert [loss / 32 for loss in found] == pytest.approx(wanted, rel=2e-3)


def test_over_the_samples_alone():
    """As `.sum(1).mean()`: what one sample has stays a sum."""

    def wide(reduction):
        model = nn.Linear(4, 6)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        loss_of = {
            "all": lambda a, b: (a - b).square().sum(),
            "samples": lambda a, b: (a - b).square().sum(1).mean(),
        }[reduction]
        return fitted(model, optimizer, rows, 30, loss_of)

    wanted = bare(lambda: wide("samples"))
    found = with_remedy(lambda: wide("all"), MEAN, over="samples")
    assert [loss / 32 for loss in found] == pytest.approx(wanted, rel=2e-3)


@pytest.mark.parametrize(
    "averages",
    [
        F.mse_loss,
        lambda a, b: F.l1_loss(a, b) + F.huber_loss(a, b),
        lambda a, b: (a - b).square().sum(1).mean(),
        lambda a, b: 3.0 * F.cross_entropy(torch.cat([a, -a], 1), (b > 0).long().squeeze(1)),
    ],
    ids=["mse", "two", "of-sums", "cross-entropy"],
)
def test_a_mean_stays_as_it_is(averages):
    """Else this were a lower rate by another name, and would prove itself for whatever a lower rate mends."""
    losses, applied = under(lambda: training(averages), intervention_for(MEAN))
    assert not applied.times
    assert losses == bare(lambda: training(averages))


def test_by_hand_with_autograd_grad():
    """The graph is read before the pass, which frees what it has saved."""

    def by_hand(reduction, lr=0.1):
        w = torch.zeros(4, 1, requires_grad=True)
        losses = []
        for _ in range(40):
            x, y = rows()
            loss = F.mse_loss(x @ w, y, reduction=reduction)
            (grad,) = torch.autograd.grad(loss, w)
            with torch.no_grad():
                w -= lr * grad
            losses.append(float(loss.detach()))
        return losses

    assert lost(bare(lambda: by_hand("sum")))
    found = with_remedy(lambda: by_hand("sum"), MEAN)
    assert [loss / 32 for loss in found] == pytest.approx(bare(lambda: by_hand("mean")), rel=1e-3)


shapes = st.lists(st.integers(1, 5), min_size=1, max_size=3)


@settings(max_examples=30, deadline=None)
@given(shape=shapes, scale=st.floats(0.1, 10), kind=st.sampled_from(["sum", "dim", "mse", "l1"]))
def test_the_terms_of_any_sum_are_counted(shape, scale, kind):
    x, y = torch.ones(shape, requires_grad=True), torch.zeros(shape)
    loss = {
        "sum": lambda: x.exp().sum(),
        "dim": lambda: x.exp().sum(list(range(len(shape)))),
        "mse": lambda: F.mse_loss(x, y, reduction="sum"),
        "l1": lambda: F.l1_loss(x, y, reduction="sum"),
    }[kind]()
    assert summed_terms(loss * scale) == x.numel()


@settings(max_examples=30, deadline=None)
@given(shape=shapes)
def test_a_mean_has_one_term(shape):
    x, y = torch.ones(shape, requires_grad=True), torch.zeros(shape)
    for loss in (x.exp().mean(), F.mse_loss(x, y), F.smooth_l1_loss(x, y) / 3, x.square().sum(0).mean()):
        assert summed_terms(loss) == 1


def test_a_sum_of_sums_counts_what_is_summed_first():
    """A negative evidence lower bound: both terms are summed over the numbers of a sample, then over the batch."""
    x, z = torch.randn(8, 30, requires_grad=True), torch.randn(8, 4, requires_grad=True)
    assert summed_terms((x.square().sum(1) + 0.1 * z.square().sum(1)).sum()) == 240
    assert summed_terms((x.square().mean(1) + 0.1 * z.square().mean(1)).sum()) == 8


def test_sums_inside_the_model_are_none_of_the_loss():
    layer = nn.Linear(4, 3)
    h = torch.ones(5, 4, requires_grad=True)
    assert summed_terms(layer(h.exp().sum(0, keepdim=True)).max()) is None
    assert summed_terms(torch.ones(3, requires_grad=True)[0]) is None


class Pooled(nn.Module):
    """Maps, summed over all places and weighted."""

    def __init__(self):
        super().__init__()
        self.maps, self.last = nn.Conv2d(1, 4, 3, padding=1), nn.Conv2d(4, 1, 1)

    def forward(self, x):
        return self.last(torch.relu(self.maps(x)).sum((2, 3), keepdim=True)).flatten()


class Summing(nn.Module):
    """A sum of many numbers, and nothing after it at which a model is known."""

    def forward(self, x):
        return torch.tanh(x.exp().sum(1))


def test_sums_inside_the_model_are_none_of_a_weighted_loss():
    x, w = torch.randn(8, 1, 32, 32), torch.rand(8)
    for model, batch in ((Pooled(), x), (Summing(), x.flatten(1).requires_grad_())):
        for loss in (
            lambda out: (w * (out - 1) ** 2).sum(),
            lambda out: ((out - 1) ** 2 * 2).sum(),
            lambda out: (w * (out - 1).abs()).sum() / 3,
        ):
            assert summed_terms(loss(model(batch))) == 8


@pytest.mark.parametrize("name", ["layer norm", "bmm", "convolution"])
def test_where_a_model_ends_no_sum_is_looked_for(name):
    x = torch.ones(2, 3, 4, requires_grad=True)
    summed = x.exp().sum(1, keepdim=True)
    made = {
        "layer norm": lambda: nn.LayerNorm(4)(summed),
        "bmm": lambda: torch.bmm(summed, torch.ones(2, 4, 5)),
        "convolution": lambda: nn.Conv1d(1, 1, 1)(summed),
    }[name]()
    assert summed_terms(made.max()) is None


def test_a_sum_of_summed_losses_has_their_terms():
    x, y = torch.ones(4, 3, requires_grad=True), torch.zeros(4, 3)
    assert summed_terms((F.mse_loss(x, y, reduction="sum") * torch.ones(2)).sum()) == 12
