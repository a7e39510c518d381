"""Noise without a variance is clipped to the median; what rare batches have to teach is not, nor any calm run."""

import json
import math

import numpy as np
import pytest
import torch
from torch import nn

import steadygrad as sg
from steadygrad.clip import HeavyTails, RobustClip, direction_of

STEPS = 1200


def loudness(kind, rng, count=STEPS):
    """Log-norms of runs that have a variance, or have another reason for their spread."""
    if kind == "calm":
        return rng.normal(0, 0.2, count)
    if kind == "noisy":
        return rng.normal(0, 1.2, count)
    if kind == "two kinds of batches":
        return np.where(rng.random(count) < 0.1, math.log(100), 0.0) + rng.normal(0, 0.4, count)
    if kind == "decay":
        return -np.arange(count) / 30 + rng.normal(0, 0.2, count)
    if kind == "variance":
        return rng.exponential(1 / 3.0, count)
    return np.log(rng.exponential(1.0, count))


def directionless(rng, width=64):
    return lambda: rng.normal(0, 1, width).tolist()


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("index", [1.3, 1.5])
def test_noise_without_a_variance_is_recognised(index, seed):
    rng, tails, noise = np.random.default_rng(seed), HeavyTails(), []
    for x in rng.exponential(1 / index, STEPS):
        tails.push(x, directionless(rng))
        noise.append(tails.noise)
    assert np.mean(noise[600:]) > 0.7
    assert tails.tail_index < 2.1


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("kind", ["calm", "noisy", "two kinds of batches", "decay", "variance", "exponential"])
def test_other_spreads_are_not(kind, seed):
    rng, tails, noise = np.random.default_rng(seed), HeavyTails(), []
    for x in loudness(kind, rng):
        tails.push(x, directionless(rng))
        noise.append(tails.noise)
    assert np.mean(noise) < 0.01


def test_large_gradients_that_agree_have_something_to_teach():
    """The same norms as those of noise; the loud half points one way, as a rare class does."""
    rng, tails = np.random.default_rng(0), HeavyTails()
    own = rng.normal(0, 1, 64)
    for x in rng.exponential(1 / 1.5, STEPS):
        pull = 0.5 * own if x > 0.5 else 0.0
        tails.push(x, lambda pull=pull: (rng.normal(0, 1, 64) + pull).tolist())
        assert not tails.noise


@pytest.mark.parametrize("every", [20, 60])
def test_bursts_that_are_rejected_make_no_noise_of_a_calm_run(every):
    """They are norms like others here: however large they are, it is their number that counts."""
    rng, clip = np.random.default_rng(0), RobustClip()
    for step in range(STEPS):
        burst = math.log(1e6) if step % every == every - 1 else 0.0
        decision = clip.decide(math.exp(rng.normal(burst, 0.2)), direction=directionless(rng))
        assert not decision.everyday


def test_without_directions_nothing_is_noise():
    rng, clip = np.random.default_rng(0), RobustClip()
    decisions = [clip.decide(math.exp(x)) for x in rng.exponential(1 / 1.5, STEPS)]
    assert not any(decision.everyday for decision in decisions)


def test_directions_are_asked_for_only_where_the_tail_is_suspected():
    rng, clip, asked = np.random.default_rng(0), RobustClip(), []
    for x in rng.normal(0, 0.4, STEPS):
        clip.decide(math.exp(x), direction=lambda: asked.append(1) or [1.0])
    assert not asked


def test_it_ends_with_the_noise():
    rng, tails = np.random.default_rng(0), HeavyTails()
    for x in rng.exponential(1 / 1.5, 600):
        tails.push(x, directionless(rng))
    assert tails.noise
    for x in rng.normal(0, 0.2, 400):
        tails.push(x, directionless(rng))
    assert not tails.noise


def test_a_state_that_was_saved_goes_on_alike():
    rng = np.random.default_rng(0)
    xs, samples = rng.exponential(1 / 1.5, 500).tolist(), rng.normal(0, 1, (500, 16))
    whole, first = HeavyTails(), HeavyTails()
    noise = []
    for x, sample in zip(xs, samples, strict=True):
        whole.push(x, sample.tolist)
        noise.append(whole.noise)
    for x, sample in zip(xs[:200], samples[:200], strict=True):
        first.push(x, sample.tolist)
    second = HeavyTails()
    second.load_state_dict(json.loads(json.dumps(first.state_dict())))
    went_on = []
    for x, sample in zip(xs[200:], samples[200:], strict=True):
        second.push(x, sample.tolist)
        went_on.append(second.noise)
    assert went_on == noise[200:]
    assert any(went_on)


def test_the_sample_is_the_same_elements_of_whatever_layout():
    weight = torch.arange(5000.0).reshape(50, 100)
    sparse = torch.sparse_coo_tensor([[1, 1]], torch.tensor([2.0, 3.0]), (4,), check_invariants=True)
    assert direction_of([weight]) == direction_of([weight.t().contiguous().t()])
    assert len(direction_of([weight])) == 1024
    assert direction_of([torch.tensor(2.0), sparse]) == [2.0, 5.0]
    assert direction_of([]) == []
    many = [torch.full((3,), float(place)) for place in range(100)]
    assert set(direction_of(many)) > {0.0, 99.0}


def fit(noise, seed, *, watched):
    """A regression by Adam whose loss is multiplied by noise at every step; returns the error that is left."""
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(16, 32), nn.Tanh(), nn.Linear(32, 1))
    teacher = nn.Linear(16, 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    watch = sg.watch(model, optimizer, record=False) if watched else None
    for factor in noise:
        x = torch.randn(8, 16)
        with torch.no_grad():
            y = teacher(x) + 0.5 * torch.randn(8, 1)
        optimizer.zero_grad()
        (factor * nn.functional.mse_loss(model(x), y)).backward()
        optimizer.step()
    if watch is not None:
        watch.close()
    x = torch.randn(4096, 16)
    with torch.no_grad():
        return nn.functional.mse_loss(model(x), teacher(x)).item()


@pytest.mark.slow
def test_a_watched_training_is_spared_the_noise(capsys):
    bare = watched = 0.0
    for seed in range(3):
        heavy = np.exp(np.random.default_rng(seed).exponential(1 / 1.5, 1500)).tolist()
        bare += fit(heavy, seed, watched=False)
        watched += fit(heavy, seed, watched=True)
    assert "no variance" in capsys.readouterr().err
    assert watched < 0.6 * bare
    assert fit([1.0] * 600, 0, watched=True) == fit([1.0] * 600, 0, watched=False)
