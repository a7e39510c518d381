"""Numbers far outside of the range that the data has had, limited to it."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for
from steadygrad.interventions.outliers import CALLS, FAR, IN_A_ROW, MOST, Range

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

LIMIT = "winsorise-features"


def glitch(step):
    x, y = rows()
    if step % 20 == 10:
        x = x.clone()
        x[3, 2] = -8e5
    return x, y


def typing_error(step):
    x, y = rows()
    return x, torch.where(torch.arange(len(y)).unsqueeze(1) == 3, 1e6, y) if step % 20 == 10 else y


def training(batch, loss_of=F.mse_loss):
    model = perceptron()
    return fitted(model, torch.optim.SGD(model.parameters(), lr=0.05, momentum=0.9), batch, 100, loss_of)


LOSSES = {
    "mse": F.mse_loss,
    "minus": lambda a, b: (a - b).square().mean(),
    "reversed": lambda a, b: (b - a).square().mean(),
    "keyword": lambda a, b: F.mse_loss(a, target=b),
}


@pytest.mark.parametrize("loss_of", LOSSES.values(), ids=LOSSES)
@pytest.mark.parametrize("batch", [glitch, typing_error])
def test_a_number_out_of_range_does_no_harm_and_is_in_no_mean(batch, loss_of):
    assert lost(bare(lambda: training(batch, loss_of)))
    losses = with_remedy(lambda: training(batch, loss_of), LIMIT)
    assert end(losses) < 0.25
    assert max(losses) < 20


def test_by_hand():
    def run():
        weights = [(torch.randn(4, 16) / 2).requires_grad_(), (torch.randn(16, 1) / 4).requires_grad_()]
        losses = []
        for step in range(80):
            x, y = glitch(step)
            loss = (torch.relu(x @ weights[0]) @ weights[1] - y).square().mean()
            grads = torch.autograd.grad(loss, weights)
            with torch.no_grad():
                for p, grad in zip(weights, grads, strict=True):
                    p -= 0.1 * grad
            losses.append(float(loss.detach()))
        return losses

    assert lost(bare(run))
    assert max(with_remedy(run, LIMIT)) < 20


def test_a_healthy_training_is_left_as_it_is():
    losses, applied = under(lambda: training(lambda step: rows()), intervention_for(LIMIT))
    assert not applied.times
    assert losses == bare(lambda: training(lambda step: rows()))


def calls(remedy, values, model=None):
    """What a model was given."""
    seen = []
    model = nn.Linear(values[0].shape[-1], 1) if model is None else model
    model.register_forward_pre_hook(lambda module, args: seen.append(args[0].clone()))
    with Applied([intervention_for(remedy)]):
        for value in values:
            model(value)
    return seen


def test_an_evaluation_sees_its_data_as_it_is():
    values = [torch.randn(32, 2) for _ in range(8)]
    far = torch.full((4, 2), 1e6)
    with torch.no_grad():
        assert calls(LIMIT, [*values, far])[-1].equal(far)
    assert calls(LIMIT, [*values, far])[-1].max() < 10


def test_each_feature_has_its_own_range():
    scale = torch.tensor([1.0, 1e6])
    values = [torch.randn(32, 2) * scale for _ in range(8)]
    given = calls(LIMIT, [*values, torch.tensor([[1e6, 1e6]])])[-1]
    assert 0 < given[0, 0] < 10
    assert given[0, 1] == 1e6


def test_a_rare_feature_is_no_outlier():
    """A column that is zero in nearly all rows, beside others that vary."""
    values = [torch.cat([torch.randn(32, 3), torch.zeros(32, 1)], 1) for _ in range(8)]
    rare = torch.tensor([[0.0, 0.0, 0.0, 1.0]])
    assert calls(LIMIT, [*values, rare])[-1].equal(rare)
    assert calls(LIMIT, [*values, rare * 1e6])[-1].max() < 10


def test_a_mask_that_comes_late_is_no_outlier():
    """Added where nothing was masked before: not clamped to zero, whatever its shape."""

    def run(masks):
        weight = nn.Parameter(torch.ones(4, 4))
        return [torch.softmax(weight + mask, -1) for mask in masks]

    masked = torch.tensor([0.0, 0.0, -1e9, -1e9])
    for mask in (masked, masked.expand(4, 4)):
        with Applied([intervention_for(LIMIT)]):
            got = run([torch.zeros_like(mask)] * 40 + [mask])[-1]
        assert got[0].tolist() == [0.5, 0.5, 0.0, 0.0]


def test_what_the_data_is_now_is_let_through():
    known = Range()
    for _ in range(CALLS):
        known.limited(torch.linspace(-1, 1, 64).unsqueeze(1), 1)
    later = torch.full((64, 1), 100.0)
    got = [float(known.limited(later, 1).max()) for _ in range(IN_A_ROW + 2)]
    assert got == [1.0] * IN_A_ROW + [100.0, 100.0]


def test_a_number_that_is_not_there_says_nothing_of_the_range():
    known = Range()
    rows = torch.linspace(-1, 1, 64).unsqueeze(1)
    holes = torch.where(rows > 0.5, math.nan, rows)
    for _ in range(CALLS):
        assert known.limited(rows, 1) is rows
        assert known.limited(holes, 1) is holes
    assert known.limited(torch.tensor([[1e6]]), 1).item() == 1.0


@settings(max_examples=50, deadline=None)
@given(
    middle=st.floats(-1e3, 1e3),
    half=st.floats(1e-3, 1e3),
    far=st.floats(-100.0, 100.0),
)
def test_where_it_ends(middle, half, far):
    """A number is put to the end of the range if it is FAR times farther from the middle, else it is as it was."""
    rows = (torch.linspace(-1, 1, 65, dtype=torch.float64) * half + middle).unsqueeze(1)
    known = Range()
    for _ in range(CALLS):
        known.limited(rows, 1)
    given = torch.tensor([[middle + far * half]], dtype=torch.float64)
    got = known.limited(given, 1)
    if abs(far) < FAR - 1e-3:
        assert got is given
    elif abs(far) > FAR + 1e-3:
        assert got.item() == (rows[0] if far < 0 else rows[-1]).item()


def targets_met(of_step, steps, *, several=1):
    """What a loss makes of the targets that each step has, beside one of data as usual."""
    torch.manual_seed(0)
    layer = nn.Linear(4, 8)
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.0)
    applied = intervention_for(LIMIT)
    seen = []
    with Applied([applied]):
        for step in range(steps):
            out = layer(torch.randn(16, 4))
            loss = F.mse_loss(out, torch.rand(16, 8))
            for target in of_step(step):
                loss = loss + (error := F.l1_loss(out, target) if several > 1 else F.mse_loss(out, target).sqrt())
                seen.append(float(error.detach()))
            loss.backward()
            optimizer.step()
    return seen, applied


def test_a_term_that_comes_late_is_no_outlier():
    """Another line of the script: other data."""
    seen, applied = targets_met(lambda step: [torch.full((16, 8), 100.0)] if step >= 20 else [], 24)
    assert min(seen) > 90
    assert not applied.times


def test_what_the_data_is_now_is_seen_in_spite_of_other_places():
    """Steps are counted at each place: one that is as it was does not speak for the others."""
    seen, _ = targets_met(lambda step: [torch.full((16, 8), 100.0) if step >= 20 else torch.rand(16, 8)], 40)
    assert max(seen[20 : 20 + IN_A_ROW]) < 2
    assert min(seen[20 + IN_A_ROW :]) > 90


def test_a_step_counts_once_however_many_calls_it_has():
    far = torch.full((16, 8), 100.0)
    seen, _ = targets_met(lambda step: [torch.rand(16, 8), far if step >= 20 else torch.rand(16, 8)], 40, several=2)
    assert max(seen[40 : 2 * (20 + IN_A_ROW)]) < 2
    assert min(seen[2 * (20 + IN_A_ROW) + 1 :: 2]) > 90


@pytest.mark.parametrize("remedy", [LIMIT, "drop-or-impute-nonfinite-samples"])
def test_a_gradient_that_is_given_is_no_data(remedy):
    layer = nn.Linear(4, 8)
    bad = torch.full((16, 8), math.nan if remedy != LIMIT else 1e6)
    with Applied([intervention_for(remedy)]):
        for step in range(20):
            for through in (lambda y, g: y.backward(gradient=g), lambda y, g: torch.autograd.grad(y, y, g)):
                y = layer(torch.randn(16, 4))
                y.retain_grad()
                found = through(y, torch.randn(16, 8) if step != 10 else bad)
                if step == 10:
                    found = y.grad if found is None else found[0]
                    assert not found.isfinite().any() if remedy != LIMIT else found.equal(bad)


def test_what_varies_in_length_has_one_range():
    """Sounds, and batches that are padded to their longest: what they have in common is no position."""
    model = nn.Conv1d(1, 4, 5)
    applied = intervention_for(LIMIT)
    far = torch.randn(2, 1, 900)
    far[0, 0, 7] = 1e6
    with Applied([applied]):
        for sound in [*(torch.randn(2, 1, 800 + call) for call in range(40)), far]:
            made = model(sound)
    assert applied.times
    assert made.abs().max() < 20
    kept = [place._range._low.numel() for place in applied._places.values()]
    assert sum(kept) <= 4


def test_places_are_forgotten():
    applied = intervention_for(LIMIT)
    with Applied([applied]):
        for _ in range(MOST + 20):
            nn.Linear(1, 1)(torch.randn(2, 1))  # a module of its own is a place of its own
        assert len(applied._places) <= MOST


def test_numbers_are_read_once_a_call(monkeypatch):
    reads = []
    read = Tensor.__bool__, Tensor.__float__
    monkeypatch.setattr(Tensor, "__bool__", lambda tensor: reads.append(1) or read[0](tensor))
    monkeypatch.setattr(Tensor, "__float__", lambda tensor: reads.append(1) or read[1](tensor))
    known = Range()
    for _ in range(20):
        known.limited(torch.randn(32, 3), 1)
    assert len(reads) <= 20


def test_one_feature_without_numbers_leaves_the_others_their_range():
    known = Range()
    rows = torch.stack([torch.linspace(-1, 1, 64), torch.full((64,), math.nan)], 1)
    for _ in range(CALLS):
        known.limited(rows, 1)
    got = known.limited(torch.tensor([[1e6, 1e6]]), 1)
    assert got.tolist() == [[1.0, 1e6]]
