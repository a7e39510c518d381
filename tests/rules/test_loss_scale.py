"""Targets out of scale: of a distance whatever they count, of a likelihood of counts never."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

import steadygrad as sg
from steadygrad.preflight.observed import reduction_of


def found(loss_of, rate, folder):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=rate)
    with sg.watch(model, optimizer, mode="observe", record=folder) as watch:
        for _ in range(40):
            x = torch.randn(32, 6)
            counts = (150 + 60 * x[:, :1]).round().clamp(min=1)
            optimizer.zero_grad()
            loss_of(model(x), counts).backward()
            optimizer.step()
    return [each.cause for each in sg.open_run(watch.run).findings()]


@pytest.mark.parametrize("loss_of", [F.mse_loss, lambda out, y: F.mse_loss(input=out, target=y)])
def test_ages_and_prices_are_targets_of_a_regression(loss_of, tmp_path):
    assert found(loss_of, 0.5, tmp_path)[:1] == ["loss-scale"]


def test_counts_of_a_likelihood_are_what_they_are(tmp_path):
    assert "loss-scale" not in found(lambda out, y: F.poisson_nll_loss(out, y), 0.05, tmp_path)


LOGITS = torch.zeros(8, 3, requires_grad=True)
CLASSES = torch.zeros(8, dtype=torch.long)
SPOKEN = {
    "log_probs": F.log_softmax(torch.zeros(10, 4, 5, requires_grad=True), -1),
    "targets": torch.ones(4, 3, dtype=torch.long),
    "input_lengths": torch.full((4,), 10),
    "target_lengths": torch.full((4,), 3),
}


@pytest.mark.parametrize(
    ("loss", "reduction"),
    [
        (F.cross_entropy(LOGITS, CLASSES), "mean"),
        (F.cross_entropy(LOGITS, CLASSES, reduction="sum"), "sum"),
        (F.cross_entropy(LOGITS, CLASSES, reduction="none").sum(), "sum"),
        (F.cross_entropy(LOGITS, CLASSES, reduction="none").sum().reshape(()), "sum"),
        (F.cross_entropy(LOGITS, CLASSES, reduction="none").sum() / 8, ""),
        (F.cross_entropy(LOGITS, CLASSES, reduction="none").mean(), ""),
        (F.ctc_loss(**SPOKEN, reduction="sum"), "sum"),
        (F.ctc_loss(**SPOKEN), ""),
        ((LOGITS - 1).square().sum(), ""),
    ],
)
def test_how_torchs_own_losses_put_a_batch_together(loss, reduction):
    assert reduction_of(loss) == reduction
