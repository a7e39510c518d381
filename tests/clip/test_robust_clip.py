"""The default clip policy: works from step 0, survives what it rejects, follows a change of scale, leaves calm runs alone."""

import math
import random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.clip import RobustClip

norms = st.floats(min_value=0.0, max_value=1e30, allow_nan=False)


def feed(clip, values, **options):
    return [clip.decide(value, **options) for value in values]


@given(st.lists(st.tuples(norms, st.floats(min_value=0.0, max_value=1e9)), max_size=200))
def test_it_never_raises_a_norm_and_never_fails(values):
    clip = RobustClip()
    for value, reach in values:
        decision = clip.decide(value, reach=reach, plausible=1e4)
        assert 0.0 <= decision.coefficient <= 1.0
        assert math.isfinite(decision.coefficient)


@given(st.floats(min_value=1e-20, max_value=1e20), st.integers(min_value=0, max_value=2**31))
def test_it_does_not_depend_on_the_scale_of_the_run(scale, seed):
    rng = random.Random(seed)
    values = [rng.lognormvariate(0, 1.5) for _ in range(60)]
    plain = feed(RobustClip(), values)
    scaled = feed(RobustClip(), [value * scale for value in values])
    assert [d.coefficient for d in plain] == pytest.approx([d.coefficient for d in scaled], rel=1e-6)


@pytest.mark.parametrize("step", [1, 2, 3, 10, 500])
@pytest.mark.parametrize("seed", range(10))
def test_a_spike_is_caught_at_any_step(step, seed):
    rng = random.Random(seed)
    clip = RobustClip()
    calm = feed(clip, [rng.lognormvariate(0, 0.3) for _ in range(step)])
    spike = clip.decide(1e4)
    assert not any(decision.fires for decision in calm)
    assert spike.coefficient * 1e4 < 100
    assert not clip.decide(1.0).fires


def healthy(kind, rng, count=3000):
    if kind == "calm":
        return rng.lognormal(0, 0.2, count)
    if kind == "decay from the start":
        return (20 * np.exp(-np.arange(count) / 30) + 1) * rng.lognormal(0, 0.2, count)
    if kind == "tenfold growth":
        return np.exp(np.linspace(0, math.log(10), count)) * rng.lognormal(0, 0.3, count)
    if kind == "noisy":
        return rng.lognormal(0, 1.2, count)
    if kind == "sparse rewards":
        return np.where(rng.random(count) < 0.1, 100.0, 1.0) * rng.lognormal(0, 0.5, count)
    return (1.5 + np.cos(np.arange(count) / 60)) * rng.lognormal(0, 0.3, count)


@pytest.mark.parametrize(
    "kind", ["calm", "decay from the start", "tenfold growth", "noisy", "sparse rewards", "periodic"]
)
def test_healthy_runs_are_clipped_in_fewer_than_one_percent_of_steps(kind):
    fired = [
        sum(decision.fires for decision in feed(RobustClip(), healthy(kind, np.random.default_rng(seed))))
        for seed in range(8)
    ]
    assert np.mean(fired) / 3000 < 0.01
    if kind in {"calm", "decay from the start", "tenfold growth", "periodic"}:
        assert max(fired) == 0


@pytest.mark.parametrize(("factor", "steps"), [(10, 4), (30, 4), (100, 4), (1000, 16), (1e6, 16)])
def test_a_genuine_change_of_scale_is_followed(factor, steps):
    """A far one later: five batches in a row that are broken alike are no change of scale."""
    rng = np.random.default_rng(0)
    clip = RobustClip()
    feed(clip, rng.lognormal(0, 0.2, 200))
    after = feed(clip, factor * rng.lognormal(0, 0.2, 50))
    assert sum(decision.fires for decision in after) <= steps
    assert not any(decision.fires for decision in after[20:])


def test_a_rejected_norm_does_not_raise_the_threshold():
    clip = RobustClip()
    feed(clip, [1.0] * 100)
    limit = clip.decide(1e6).limit
    feed(clip, [1.0] * 3)
    assert clip.decide(1e6).limit == pytest.approx(limit, rel=0.05)


def test_steps_that_throw_the_weights_away_are_shortened_whatever_the_history_says():
    clip = RobustClip()
    feed(clip, [100.0] * 50, reach=0.2)
    decision = clip.decide(110.0, reach=8.0)
    assert 0 < decision.coefficient * 8.0 <= 3.0


def test_a_far_reach_and_standing_out_is_shortened_but_neither_alone():
    def after_calm(norm, reach):
        clip = RobustClip()
        feed(clip, [1.0] * 50, reach=0.05)
        return clip.decide(norm, reach=reach).fires

    assert after_calm(5.0, 0.7), "five times the median, and more than half the weights"
    assert not after_calm(5.0, 0.3), "five times the median only"
    assert not after_calm(1.1, 0.7), "half the weights only"
    assert not after_calm(50.0, 0.05), "fifty times the median, and no harm in it"
    assert after_calm(50.0, 0.2)
    assert after_calm(50.0, 0.0), "where the reach is not known, the norm decides"


def test_a_step_of_small_reach_that_momentum_carries_far_is_shortened():
    def after_calm(norm, reach, lasting):
        clip = RobustClip()
        feed(clip, [1.0] * 50, reach=0.005)
        return clip.decide(norm, reach=reach, lasting=lasting).fires

    assert after_calm(50.0, 0.06, 0.6), "fifty times the median, and in ten steps more than half the weights"
    assert not after_calm(50.0, 0.06, 0.4)
    assert not after_calm(5.0, 0.06, 0.6), "it stands out no more than others do"


def test_what_keeps_coming_back_is_no_outlier():
    clip = RobustClip()
    rng = np.random.default_rng(0)
    fired = [
        clip.decide(float(norm)).fires
        for norm in np.where(np.arange(1500) % 50 == 49, 30.0, rng.lognormal(0, 0.3, 1500))
    ]
    assert sum(fired) == 3, "a rare class: one step in fifty, thirty times the usual norm"
    clip = RobustClip()
    assert sum(clip.decide(1e4 if step % 50 == 49 else 1.0).fires for step in range(1500)) == 30, (
        "a broken sensor is one"
    )


def test_gradients_of_zero_teach_nothing():
    clip = RobustClip()
    feed(clip, [0.0] * 30)
    assert not any(decision.fires for decision in feed(clip, [3.0, 0.0, 2.0, 4.0]))


def test_an_implausible_first_norm():
    clip = RobustClip()
    assert clip.decide(1e9, plausible=1e4).coefficient == pytest.approx(1e-9), "scaled out of the moments' sight"
    assert not clip.decide(1.2e9, plausible=1e4).fires, "the second agrees: it is the scale of this run"
    clip = RobustClip()
    assert clip.decide(1.0, reach=50.0).hold, "the first step of all would throw the weights away"
    second = clip.decide(1.0, reach=50.0)
    assert not second.hold
    assert second.coefficient * 50.0 <= 1.0


@settings(max_examples=30)
@given(
    st.lists(st.floats(min_value=1e-3, max_value=1e6), min_size=5, max_size=150),
    st.lists(norms, min_size=5, max_size=50),
)
def test_it_goes_on_from_its_state(before, after):
    first = RobustClip()
    feed(first, before)
    second = RobustClip()
    second.load_state_dict(first.state_dict())
    first._quick_left = 0  # the shortcut is no part of the state: it changes no decision that acts
    assert [d.coefficient for d in feed(first, after)] == [d.coefficient for d in feed(second, after)]


@pytest.mark.parametrize("norm", [math.nan, math.inf, -1.0])
def test_what_is_not_a_norm_is_refused_and_changes_nothing(norm):
    clip = RobustClip()
    feed(clip, [1.0] * 20)
    state = clip.state_dict()
    with pytest.raises(ValueError, match=f"norm is {norm}"):
        clip.decide(norm)
    assert clip.state_dict() == state


@pytest.mark.parametrize("options", [{"window": 3}, {"width": 0.0}, {"width": math.nan}, {"ratio": 1.0}])
def test_bad_arguments(options):
    ((name, value),) = options.items()
    with pytest.raises(ValueError, match=f"{name} is {value}, expected"):
        RobustClip(**options)
