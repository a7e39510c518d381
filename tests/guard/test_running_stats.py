"""Running statistics of batch norm that one batch has spoiled."""

import math

import pytest
import torch
from torch import nn

from steadygrad.guard import RunningStats
from steadygrad.guard.running_stats import AGREE, SETTLED


def statistics(norm):
    return RunningStats(
        [nn.Sequential(norm)], lambda ts: ([t.norm().item() for t in ts], min(t.min().item() for t in ts))
    )


def settled(norm):
    """After real batches, in training mode."""
    stats = statistics(norm)
    generator = torch.Generator().manual_seed(0)
    for _ in range(SETTLED + 5):
        norm(torch.randn(16, norm.num_features, generator=generator))
        assert not stats.broken()
    return stats


def test_statistics_of_sound_batches_are_never_broken_though_their_scale_changes():
    norm = nn.BatchNorm1d(4)
    stats = settled(norm)
    for step in range(100):
        norm(3.0 * (1 + step) * torch.randn(16, 4))
        assert not stats.broken()


@pytest.mark.parametrize("factor", [1e6, 1e-6])
def test_a_variance_that_has_leapt_is_broken_until_it_is_put_back(factor):
    norm = nn.BatchNorm1d(4)
    stats = settled(norm)
    sound = norm.running_var.clone()
    norm.running_var.mul_(factor)
    assert stats.broken()
    norm.running_var.copy_(sound)
    assert not stats.broken()


def test_one_batch_of_another_scale_is_seen():
    norm = nn.BatchNorm1d(4)
    stats = settled(norm)
    norm(1e6 * torch.randn(16, 4))
    assert stats.broken()


def test_batches_that_agree_are_a_change_of_the_data():
    norm = nn.BatchNorm1d(4)
    stats = settled(norm)
    norm.running_var.mul_(1e6)
    assert [stats.broken() for _ in range(AGREE + 3)] == [True] * AGREE + [False] * 3


@pytest.mark.parametrize("batches", [0, SETTLED + 5])
def test_a_negative_variance_is_none_at_any_time(batches):
    norm = nn.BatchNorm1d(4)
    stats = settled(norm) if batches else statistics(norm)
    norm.running_var[2] = -1e-3
    assert all(stats.broken() for _ in range(20))


@pytest.mark.parametrize("batches", [0, SETTLED + 5])
def test_a_variance_that_is_not_a_number_is_none_at_any_time(batches):
    norm = nn.BatchNorm1d(4)
    stats = settled(norm) if batches else statistics(norm)
    norm.running_var[2] = math.nan
    assert all(stats.broken() for _ in range(20))


def test_modules_without_statistics_are_passed_over():
    assert not statistics(nn.BatchNorm1d(4, track_running_stats=False))
    assert not RunningStats([nn.Linear(2, 2)], lambda tensors: ([], 0.0))
    assert statistics(nn.BatchNorm1d(4))
