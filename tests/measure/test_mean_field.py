"""The fixed point and chi1 against closed forms, against Gauss-Hermite quadrature, and against a net of random weights."""

import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from steadygrad.measure import mean_field

SMOOTH = [torch.tanh, torch.erf, torch.sigmoid, nn.GELU(), nn.SiLU(), nn.Softplus(), torch.sin]
KINKED = [torch.relu, nn.LeakyReLU(0.2), nn.SELU(), nn.ELU(), nn.Hardtanh(), nn.ReLU6(), nn.PReLU()]


def gauss_hermite(function, q, nodes=180):
    z, weights = np.polynomial.hermite_e.hermegauss(nodes)
    return float(
        (weights * function(torch.from_numpy(math.sqrt(q) * z)).square().numpy()).sum() / math.sqrt(2 * math.pi)
    )


@pytest.mark.parametrize(
    ("weight_variance", "chi1"), [(0.8, 0.647), (1.0, 0.759), (1.5, 0.939), (2.0, 1.048), (2.5, 1.134)]
)
def test_the_values_of_tanh_are_known(weight_variance, chi1):
    assert mean_field(torch.tanh, weight_variance, 0.05).chi1 == pytest.approx(chi1, abs=5e-4)


@settings(max_examples=40, deadline=None)
@given(st.floats(0.1, 6), st.floats(0, 2))
def test_erf_has_a_closed_form(weight_variance, bias_variance):
    theory = mean_field(torch.erf, weight_variance, bias_variance)
    if theory.q == 0:
        assert bias_variance == 0 or bias_variance < 1e-11
        assert theory.chi1 == pytest.approx(weight_variance * 4 / math.pi)
        return
    arc = math.asin(2 * theory.q / (1 + 2 * theory.q))
    assert theory.q == pytest.approx(weight_variance * 2 / math.pi * arc + bias_variance, rel=1e-6)
    assert theory.chi1 == pytest.approx(weight_variance * 4 / math.pi / math.sqrt(1 + 4 * theory.q), rel=1e-6)


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(SMOOTH), st.floats(0.2, 2), st.floats(0.01, 1))
def test_smooth_activations_agree_with_gauss_hermite(activation, weight_variance, bias_variance):
    theory = mean_field(activation, weight_variance, bias_variance)
    if not 1e-6 < theory.q < 10:
        return  # the nodes of the quadrature it is compared with lie too far apart for a bend at 0 beyond that

    def slope(x):
        x.requires_grad_()
        return torch.autograd.grad(activation(x).sum(), x)[0]

    assert weight_variance * gauss_hermite(activation, theory.q) + bias_variance == pytest.approx(theory.q, rel=1e-4)
    assert weight_variance * gauss_hermite(slope, theory.q) == pytest.approx(theory.chi1, rel=1e-4)


@pytest.mark.parametrize("activation", KINKED, ids=lambda each: getattr(each, "__name__", str(each)))
@pytest.mark.parametrize("weight_variance", [0.5, 1.2])
def test_kinked_activations_agree_with_many_samples(activation, weight_variance):
    theory = mean_field(activation, weight_variance, 0.1)
    z = torch.randn(4_000_000, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    x = (math.sqrt(min(theory.q, 1e12)) * z).requires_grad_()
    activation = activation.double() if isinstance(activation, nn.Module) else activation
    y = activation(x)
    slope = torch.autograd.grad(y.sum(), x)[0]
    assert weight_variance * slope.square().mean().item() == pytest.approx(theory.chi1, rel=5e-3)
    if theory.q < math.inf:
        assert weight_variance * y.square().mean().item() + 0.1 == pytest.approx(theory.q, rel=5e-3)


@pytest.mark.parametrize("slope", [0.0, 0.1, 0.5])
def test_rectifiers_keep_shrink_or_grow(slope):
    critical = 2 / (1 + slope**2)
    activation = nn.LeakyReLU(slope)
    kept, shrunk, grown = (mean_field(activation, critical * factor) for factor in (1, 0.9, 1.1))
    assert (kept.q, shrunk.q, grown.q) == (1.0, 0.0, math.inf)
    assert (kept.chi1, shrunk.chi1, grown.chi1) == pytest.approx((1, 0.9, 1.1))
    assert (kept.depth_scale > 1e9, round(grown.depth_scale, 2)) == (True, round(1 / math.log(1.1), 2))


def test_steep_steps_beside_the_signal_are_resolved():
    """tanh(500 x) is nearly a sign: q is the weight variance, and the slope lies in a thousandth of a sigma."""
    theory = mean_field(lambda x: torch.tanh(500 * x), 4.0)
    assert theory.q == pytest.approx(4.0, rel=1e-3)
    # E[phi'^2] = 500^2 * integral of sech^4(500 x) at the density of x = 0: 500 * 4/3 / sqrt(2 pi q)
    assert theory.chi1 == pytest.approx(4.0 * 500 * (4 / 3) / math.sqrt(2 * math.pi * theory.q), rel=1e-3)


def test_the_module_stays_as_it_is_and_the_mode_does_not_matter():
    activation = nn.Sequential(nn.PReLU(), nn.Dropout(0.5)).train()
    with torch.inference_mode():
        theory = mean_field(activation, 2 / (1 + 0.25**2))
    assert theory.chi1 == pytest.approx(1)
    assert activation.training
    assert activation[0].weight.dtype == torch.float32
    assert activation[0].weight.requires_grad


def test_a_net_of_random_weights_settles_at_q():
    torch.manual_seed(0)
    x = torch.randn(64, 1000)
    for _ in range(30):
        layer = nn.Linear(1000, 1000)
        nn.init.normal_(layer.weight, std=math.sqrt(2.0 / 1000))
        nn.init.normal_(layer.bias, std=math.sqrt(0.05))
        x = layer(x.tanh()).detach()
    assert x.var().item() == pytest.approx(mean_field(torch.tanh, 2.0, 0.05).q, rel=0.05)


@pytest.mark.parametrize("weight_variance", [0.0, -1.0, math.inf, math.nan])
def test_a_weight_variance_is_positive(weight_variance):
    with pytest.raises(ValueError, match=r"weight_variance is .*, expected a positive number"):
        mean_field(torch.tanh, weight_variance)


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"bias_variance is -0\.1"):
        mean_field(torch.tanh, 1.0, -0.1)
    for activation in (nn.Softmax(-1), nn.GLU(), torch.sum):
        with pytest.raises(ValueError, match="activation is not elementwise"):
            mean_field(activation, 1.0)
    with pytest.raises(ValueError, match="activation is NaN"):
        mean_field(torch.log, 1.0)
