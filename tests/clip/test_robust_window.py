"""The sorted window against numpy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from steadygrad._robust import RobustWindow

numbers = st.floats(min_value=-1e6, max_value=1e6)


@given(
    st.lists(numbers, min_size=1, max_size=80),
    st.integers(min_value=1, max_value=20),
    st.floats(min_value=0, max_value=1),
)
def test_statistics_are_numpys(values, size, fraction):
    window = RobustWindow(size)
    for value in values:
        window.push(value)
    kept = np.array(values[-size:])
    assert len(window) == len(kept)
    assert window.median() == pytest.approx(np.median(kept), rel=1e-12, abs=1e-9)
    assert window.quantile(fraction) == pytest.approx(np.quantile(kept, fraction), rel=1e-9, abs=1e-6)
    assert window.mad() == pytest.approx(np.median(np.abs(kept - np.median(kept))), rel=1e-9, abs=1e-6)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_what_is_not_finite_never_enters(value):
    window = RobustWindow(4)
    window.push(1.0)
    with pytest.raises(ValueError, match="finite"):
        window.push(value)
    assert window.median() == 1.0


def test_bad_arguments():
    with pytest.raises(ValueError, match="size is 0"):
        RobustWindow(0)
    with pytest.raises(ValueError, match="quantile"):
        RobustWindow(3).median()
