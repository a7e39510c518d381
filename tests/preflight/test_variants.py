"""A batch with one thing changed keeps its form."""

import pytest
import torch
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence

from steadygrad.measure.objective import Objective
from steadygrad.preflight.variants import batch_size, by_feature, doubled, shortened, standardised


def objective_of(*parts, batch_first=True):
    def loss_fn(model, batch):
        return (
            sum(part.float().mean() for part in batch if isinstance(part, torch.Tensor))
            * next(model.parameters()).sum()
        )

    return Objective(nn.Linear(1, 1), parts, loss_fn)


def test_samples_are_found_by_the_length_of_the_target():
    objective = objective_of(torch.randn(20, 4, 3), torch.arange(4))  # time first
    assert batch_size(objective) == 4
    x, y = doubled(objective, objective.batch)
    assert x.shape == (20, 8, 3)
    assert torch.equal(x[:, :4], x[:, 4:])
    assert y.tolist() == [0, 1, 2, 3, 0, 1, 2, 3]
    x, y = shortened(objective, 2)
    assert (x.shape, y.tolist()) == ((20, 2, 3), [0, 1])


def test_an_initial_state_is_doubled_along_its_samples():
    objective = objective_of(torch.randn(4, 20, 3), torch.zeros(2, 4, 8), torch.arange(4))
    x, state, _ = doubled(objective, objective.batch)
    assert (x.shape, state.shape) == ((8, 20, 3), (2, 8, 8))


def test_packed_sequences_are_left_alone():
    packed = pack_padded_sequence(torch.randn(2, 5, 3), torch.tensor([5, 3]), batch_first=True)
    objective = objective_of(packed, torch.arange(2))
    assert doubled(objective, objective.batch) is None
    assert shortened(objective, 1) is None


@pytest.mark.parametrize("shape", [(64, 5), (16, 7, 5), (8, 3, 6, 6)])
def test_every_feature_has_mean_0_and_variance_1(shape):
    torch.manual_seed(0)
    dim = 1 if len(shape) > 3 else len(shape) - 1
    scales = 10.0 ** torch.arange(shape[dim]) * torch.ones(shape).movedim(dim, -1)
    x = (torch.randn(shape).movedim(dim, -1) * scales + scales).movedim(-1, dim)
    others = [place for place in range(len(shape)) if place != dim]
    made = by_feature(x)
    torch.testing.assert_close(made.mean(others), torch.zeros(shape[dim]), atol=1e-4, rtol=0)
    torch.testing.assert_close(made.std(others, unbiased=False), torch.ones(shape[dim]), atol=1e-3, rtol=0)


def test_constant_features_and_whole_numbers_stay_what_they_are():
    assert torch.equal(by_feature(torch.full((4, 3), 7.0)), torch.zeros(4, 3))
    ids = torch.arange(12).view(4, 3)
    assert by_feature(ids) is ids


def test_a_target_that_is_not_large_stays_what_it_is():
    """It may be what errors are weighed by."""
    weights = torch.full((8,), 0.01)
    objective = objective_of(torch.randn(8, 3), [torch.randn(8) * 50, weights])
    large, small = standardised(objective, target=True)[1]
    assert large.std() < 1.2
    assert small is weights


def test_inputs_and_targets_are_standardised_apart():
    objective = objective_of(torch.randn(8, 3) * 100, torch.randn(8) * 50 + 1000)
    x, y = standardised(objective, inputs=True)
    assert x.std() < 1.2
    assert y is objective.target
    x, y = standardised(objective, target=True)
    assert x is objective.batch[0]
    assert abs(y.mean()) < 1e-4
