"""Norms that grow at every one of several checks."""

import math

import pytest

from steadygrad.guard.growth import CHECKS, Growth


@pytest.mark.parametrize("scale", [1e-12, 1.0, 1e12])
def test_growth_at_every_check_is_found_at_any_scale(scale):
    growth = Growth(least=1.1, total=8.0)
    found = [step for step in range(200) if growth.push(scale * 1.05**step)]
    assert found
    assert found[0] >= 8 * (CHECKS + 1) - 1
    assert growth.factor > 8.0


@pytest.mark.parametrize(
    "value",
    [
        lambda step: 1.0,
        lambda step: 1.005**step,  # too slow at each check
        lambda step: 1.0 + (step % 40),  # comes down again and again
        lambda step: 100.0 if step > 80 else 1.0,  # one jump
        lambda step: 0.0,
        lambda step: 0.9**step,
    ],
    ids=["constant", "slow", "saw", "jump", "nothing", "falling"],
)
def test_what_does_not_grow_on_and_on_is_no_growth(value):
    growth = Growth(least=1.1, total=8.0)
    assert not any(growth.push(value(step)) for step in range(400))


def test_growth_that_falls_back_now_and_then_does_not_go_on_and_on():
    growth = Growth(least=1.1, total=8.0, every=1)
    assert not any(growth.push(2.0**step * 0.3 ** (step // 4)) for step in range(40))


def test_growth_that_has_begun_at_zero_has_no_factor():
    growth = Growth(least=1.1, total=8.0, every=1)
    for step in range(30):
        growth.push(float(step))
    assert math.isnan(Growth(least=1.1, total=8.0).factor)
