"""Where in time a target is decided: rank correlations, against scipy and against what chance makes."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.evidence import Memory
from steadygrad.measure.dependence import FEWEST, KINDS, dependence_by_time


def normal(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_is_spearmans():
    stats = pytest.importorskip("scipy.stats")
    x, y = normal(40, 3, 2), normal(40, 2, seed=1).round(decimals=1)  # with ties
    squared, count = dependence_by_time(x, y)
    assert count == 3 * 2 * 2
    for step in range(3):
        pairs = [stats.spearmanr(x[:, step, f], y[:, k]).statistic ** 2 for f in range(2) for k in range(2)]
        assert squared[step].item() == pytest.approx(max(pairs), rel=1e-9)


@given(seed=st.integers(0, 10_000), step=st.integers(0, 6), steep=st.sampled_from([1.0, 3.0, -2.0]))
@settings(max_examples=30, deadline=None)
def test_does_not_care_for_monotone_changes(seed, step, steep):
    x = normal(50, 7, 1, seed=seed)
    y = x[:, step, 0] + 0.3 * normal(50, seed=seed + 1)
    once, _ = dependence_by_time(x, y)
    again, _ = dependence_by_time(x.mul(steep).exp(), y.sinh())
    assert torch.allclose(once, again, atol=1e-9)
    assert ((once >= 0) & (once <= 1 + 1e-9)).all()


def test_one_wild_sample_makes_no_correlation():
    x, y = normal(200, 4, 1), normal(200, seed=1)
    x[0, 2, 0], y[0] = 1e6, 1e6
    squared, count = dependence_by_time(x, y)
    assert squared.max() < Memory("", 200, count, (), ()).chance


def test_tokens_and_classes_are_taken_one_by_one():
    tokens = torch.randint(6, (300, 12), generator=torch.Generator().manual_seed(0))
    squared, count = dependence_by_time(tokens, (tokens[:, 4] * 5) % 3)  # no order in it
    assert squared.argmax() == 4
    assert squared[4] > 0.3 > squared[torch.arange(12) != 4].max()
    assert count == 12 * 6 * 3


def test_a_coincidence_of_rare_tokens_is_none():
    tokens, classes = torch.zeros(100, 5, dtype=torch.long), torch.zeros(100, dtype=torch.long)
    rare = FEWEST - 1
    tokens[:rare, 3] = classes[:rare] = 1
    assert dependence_by_time(tokens, classes)[0].max() == 0.0


def test_what_is_constant_says_nothing():
    squared, _ = dependence_by_time(torch.ones(20, 3, 2), normal(20))
    assert squared.tolist() == [0.0] * 3


def test_too_many_kinds_are_not_told_apart():
    tokens = torch.arange(2 * (KINDS + 1)).view(-1, 2)
    assert dependence_by_time(tokens, torch.arange(len(tokens)) % 2) is None
    assert dependence_by_time(tokens % 3, torch.arange(len(tokens))) is None


def test_chance_exceeds_its_limit_as_rarely_as_it_says():
    """A thousandth of batches with nothing in them: 2,000 batches, so two are expected and eight would be a miracle."""
    above = 0
    for seed in range(2_000):
        squared, count = dependence_by_time(normal(64, 10, 2, seed=seed), normal(64, seed=seed + 50_000))
        above += squared.max().item() > Memory("", 64, count, (), ()).chance
    assert above <= 8
