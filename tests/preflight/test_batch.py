"""What is said of the numbers of a batch."""

import pytest
import torch

from steadygrad.preflight.batch_profile import profile
from steadygrad.rules.outliers import APART


def apart(tensor):
    (found,) = profile(tensor, "x")
    return found.apart


@pytest.mark.parametrize("shape", [(32,), (32, 1), (32, 5), (32, 7, 3)])
@pytest.mark.parametrize("few", [1, 3, 8])
def test_few_samples_out_of_scale_stand_apart(shape, few):
    torch.manual_seed(0)
    x = torch.rand(shape) + 0.5
    x[torch.randperm(32)[:few]] *= 1e4
    assert 2e3 < apart(x) < 3e4


@pytest.mark.parametrize("few", [9, 16, 31])
def test_more_than_a_quarter_are_not_few(few):
    x = torch.ones(32, 4)
    x[:few] *= 1e4
    assert apart(x) == 1.0


def test_a_feature_in_other_units_is_no_sample():
    torch.manual_seed(0)
    x = torch.rand(32, 6) + 0.5
    x[:, 3] *= 1e5
    assert apart(x) < 2


def test_samples_of_zeros_are_none_to_stand_above():
    x = torch.zeros(32, 4)
    x[5] = 1e6
    assert apart(x) == 1.0


def test_what_is_no_number_is_left_out():
    x = torch.ones(32, 4)
    x[5], x[6], x[7, 2] = torch.nan, torch.inf, 50.0
    assert apart(x) == 50.0


@pytest.mark.parametrize("shape", [(), (1,), (3, 4)])
def test_of_a_handful_none_stands_apart(shape):
    x = torch.ones(shape)
    x.view(-1)[-1] = 1e6
    assert apart(x) == 1.0


@pytest.mark.parametrize("size", [64, 512])
@pytest.mark.parametrize(
    "draw",
    [
        pytest.param(lambda size, of: torch.exp(1.5 * torch.randn(size, 1, generator=of)), id="prices, log-normal"),
        pytest.param(lambda size, of: torch.rand(size, 1, generator=of) ** -0.5, id="power law without a variance"),
    ],
)
def test_a_long_tail_is_one_without_a_gap(draw, size):
    seen = [apart(draw(size, torch.Generator().manual_seed(seed))) > APART for seed in range(1000)]
    assert sum(seen) <= 1
