"""What theory expects of a deep net of random weights: the size of its signals and how its gradient grows by layer."""

import copy
import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

LARGEST, SMALLEST = 1e12, 1e-12
"""Signal variances beyond which a fixed point is called infinite, or 0."""

ENOUGH = 1e-9
"""How near V(q) must come to q, relative to it, for q to be a fixed point; rounding is far below."""


@dataclass(frozen=True, slots=True)
class MeanField:
    """What a deep net of random weights does.

    `q` is the variance of the pre-activations that deep layers settle at (`inf` if they grow for ever), `chi1` the
    factor by which the mean squared gradient is multiplied at each layer on its way back, and `depth_scale` the number
    of layers, 1 / |log chi1|, over which that makes a factor of e (`inf` at chi1 = 1).
    """

    q: float
    chi1: float
    depth_scale: float


def mean_field(activation: Callable[[Tensor], Tensor], weight_variance: float, bias_variance: float = 0.0) -> MeanField:
    r"""The fixed point of a deep, wide, fully connected net of random weights, and how fast its gradient grows there.

    .. math::
        q^* = \sigma_w^2 \, E\left[\phi(\sqrt{q^*} z)^2\right] + \sigma_b^2, \qquad
        \chi_1 = \sigma_w^2 \, E\left[\phi'(\sqrt{q^*} z)^2\right], \qquad
        \xi = 1 / |\log \chi_1|, \qquad z \sim N(0, 1)

    The squared gradient explodes towards the first layers if chi1 > 1 and vanishes if chi1 < 1. Of several fixed points
    it is the one that inputs of variance 1 lead to; where all q are fixed points (ReLU at `weight_variance` 2) it is 1.

    The expectations are Gauss-Legendre quadratures over panels that get narrower towards 0, where activations have
    their kinks: Gauss-Hermite nodes resolve neither a kink nor a step that is steep beside sqrt(q).

    Args:
        activation: phi, elementwise and differentiable by autograd: a function of `torch` or a module, whose parameters
            (of a PReLU) are taken as they are. It is called on the CPU in float64.
        weight_variance: sigma_w^2, the variance of a weight times the fan-in.
        bias_variance: sigma_b^2.

    Returns:
        q, chi1 and depth scale, plain floats.

    Raises:
        ValueError: a variance is out of range, or `activation` is not elementwise, or NaN on part of the real line.

    Example:
        >>> theory = mean_field(torch.tanh, weight_variance=2.0, bias_variance=0.05)
        >>> round(theory.q, 3), round(theory.chi1, 3), round(theory.depth_scale, 1)
        (0.722, 1.048, 21.5)
        >>> round(mean_field(torch.relu, weight_variance=2.0).chi1, 6)
        1.0

    References:
        Poole et al., "Exponential expressivity in deep neural networks through transient chaos", 2016.
        Schoenholz et al., "Deep information propagation", 2017.
    """
    if not 0.0 < weight_variance < math.inf:
        raise ValueError(f"weight_variance is {weight_variance}, expected a positive number")
    if not 0.0 <= bias_variance < math.inf:
        raise ValueError(f"bias_variance is {bias_variance}, expected a number of at least 0")
    with torch.inference_mode(False), torch.enable_grad():
        return _mean_field(_on_host(activation), weight_variance, bias_variance)


def _mean_field(phi: Callable[[Tensor], Tensor], weight_variance: float, bias_variance: float) -> MeanField:
    def growth(q: float) -> float:
        mean = _expectation(phi(math.sqrt(q) * _NODES).square())
        return (weight_variance * mean + bias_variance) / q - 1.0

    q = _fixed_point(growth)
    x = (math.sqrt(min(max(q, SMALLEST), LARGEST)) * _NODES).requires_grad_()  # beside a kink at 0, not on it
    (slope,) = torch.autograd.grad(phi(x).sum(), x)
    chi1 = weight_variance * _expectation(slope.square())
    rate = math.inf if chi1 == 0.0 else abs(math.log(chi1))
    return MeanField(q, chi1, 1.0 / rate if rate else math.inf)


def _fixed_point(growth: Callable[[float], float]) -> float:
    """Where `growth` is 0: from 1 on, the first that is met in the direction in which the signal goes.

    Bisected, not iterated: beside a critical point an iteration takes for ever.
    """
    here = growth(1.0)
    if abs(here) <= ENOUGH:
        return 1.0
    near = far = 1.0
    factor = 2.0 if here > 0 else 0.5
    while (growth(far) > 0) == (here > 0):
        near, far = far, far * factor
        if not SMALLEST <= far <= LARGEST:
            return math.inf if here > 0 else 0.0
    while abs(near - far) > ENOUGH * near:
        middle = math.sqrt(near * far)
        if (growth(middle) > 0) == (here > 0):
            near = middle
        else:
            far = middle
    return math.sqrt(near * far)


def _on_host(activation: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Tensor]:
    """The activation for float64 tensors of the CPU; the caller's module stays as it is."""
    if isinstance(activation, nn.Module):
        activation = copy.deepcopy(activation).to("cpu", torch.float64).requires_grad_(False).eval()
    values, alone = activation(_NODES), activation(_NODES[:2])
    if values.shape != _NODES.shape or not torch.allclose(values[:2], alone, equal_nan=True):
        raise ValueError("activation is not elementwise, expected a function such as torch.tanh")
    if values.isnan().any():
        raise ValueError("activation is NaN on part of the real line, expected a function such as torch.tanh")
    return activation


def _expectation(values: Tensor) -> float:
    """Of the values at the nodes. They are the host's own: no device is waited for."""
    return float((values * _WEIGHTS).sum())


def _quadrature() -> tuple[Tensor, Tensor]:
    """Nodes and weights of expectations over N(0, 1): 16 on each of some 200 panels a side, up to 12 sigma."""
    edges = np.concatenate([[0.0], 2.0 ** np.arange(-50.0, -4.0), np.arange(1, 193) / 16])
    nodes, weights = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges)[:, None] / 2
    right = (edges[:-1, None] + half * (nodes + 1)).ravel()
    density = (half * weights).ravel() * np.exp(-right * right / 2) / math.sqrt(2 * math.pi)
    both = np.concatenate([-right[::-1], right]), np.concatenate([density[::-1], density])
    return torch.from_numpy(both[0]), torch.from_numpy(both[1] / both[1].sum())


_NODES, _WEIGHTS = _quadrature()
