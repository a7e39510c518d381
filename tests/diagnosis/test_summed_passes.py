"""Gradients of several passes that are summed for one step: by the sharpness of one pass, then and at the onset."""

from types import SimpleNamespace

import numpy as np
import pytest

from steadygrad.diagnosis.causes.loss_scale import _accumulated

PASSES = 5


def case(first, onset, *, numbers=()):
    """What `_accumulated` reads of a case in which one pass had these ratios of sharpness to its limit."""

    def evidence(ratio):
        return SimpleNamespace(edge=SimpleNamespace(ratio=ratio), rehearsals=[SimpleNamespace(diverged=False)])

    return SimpleNamespace(
        symptoms=[{"backward_passes": PASSES}],
        start=evidence(first),
        looks=[SimpleNamespace(numbers=numbers, evidence=evidence(onset))],
        steps=SimpleNamespace(step=np.arange(5), lr=np.full(5, 0.5)),
        onset=4,
    )


@pytest.mark.parametrize(
    ("first", "onset", "told"),
    [
        pytest.param(0.3, 3.0, 0.3, id="too long from the start"),
        pytest.param(0.17, 0.46, 0.46, id="sharper after a few steps"),
        pytest.param(0.1, 0.15, None, id="harmless all together"),
        pytest.param(0.1, 1.4, None, id="too long for one pass by then"),
    ],
)
def test_all_are_too_much_where_one_is_not(first, onset, told):
    found = [each.evidence["sharpness_ratio"] for each in _accumulated(case(first, onset))]
    assert found == ([] if told is None else [told])
    assert not list(_accumulated(case(first, onset, numbers=(1 / PASSES,)))), "divided"
