"""Bad arguments: the value that came, and what was expected."""

import math

import pytest
import torch

from steadygrad.clip import (
    AGC,
    SPAM,
    AdaGC,
    AutoClip,
    ClipByBlockRMS,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByUpdateRMS,
    ClipByValue,
    RobustClip,
    ZClip,
    clip_grad_norm_,
    clip_grad_value_,
    get_total_norm,
)


@pytest.mark.parametrize(
    "make", [ClipByValue, ClipByGlobalNorm, ClipByTensorNorm, ClipByBlockRMS, ClipByUpdateRMS, AGC, SPAM]
)
@pytest.mark.parametrize("value", [0, -1.0, math.nan, "1"])
def test_thresholds(make, value):
    with pytest.raises(ValueError, match=f"is {value!r}, expected a positive number"):
        make(value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ClipByGlobalNorm(1.0, norm_type=0), "norm_type is 0.0, expected a positive number"),
        (lambda: AGC(eps=0.0), "eps is 0.0, expected a positive number"),
        (lambda: AutoClip(101), "percentile is 101, expected at least 0 and below"),
        (lambda: AutoClip(window=1), "window is 1, expected a whole number of at least 2"),
        (lambda: ZClip(alpha=1.0), "alpha is 1.0, expected at least 0 and below 1"),
        (lambda: ZClip(clip_option="median"), "clip_option is 'median', expected one of adaptive_scaling, mean"),
        (lambda: AdaGC(lambda_rel=0.9), "lambda_rel is 0.9, expected at least 1 and below inf"),
        (lambda: AdaGC(beta=math.nan), "beta is nan"),
        (lambda: SPAM(grace=500), "grace is 500 and reset_every 500, expected a shorter grace"),
        (lambda: RobustClip(window=True), "window is True"),
        (lambda: RobustClip(nonfinite="skip"), "nonfinite is 'skip', expected one of keep, zero"),
        (lambda: clip_grad_norm_([], math.nan), "max_norm is nan"),
        (lambda: clip_grad_norm_([], 1.0, -2.0), "norm_type is -2.0"),
        (lambda: clip_grad_value_([], -1.0), "clip_value is -1.0"),
        (lambda: get_total_norm([], math.nan), "norm_type is nan"),
        (lambda: ClipByGlobalNorm(1.0)(iter(())), "there are no parameters, expected at least one"),
    ],
)
def test_others(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_what_is_no_parameter():
    with pytest.raises(TypeError, match=r"a parameter is a float, expected a torch\.Tensor"):
        ClipByGlobalNorm(1.0)([1.0])


def test_torchs_functions_take_nothing_as_torch_does():
    assert clip_grad_norm_([], 1.0).item() == 0.0
    assert clip_grad_norm_([torch.nn.Parameter(torch.ones(1))], 1.0).item() == 0.0
    assert get_total_norm([]).item() == 0.0
    with pytest.warns(UserWarning, match="empty generator"):
        clip_grad_norm_((param for param in []), 1.0)
