"""Normalisation between the layers, put in from outside."""

import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, rows, with_remedy

NORMALISE = "normalisation"


def tower():
    """Layers whose weights are small: nothing of the gradient comes to the first ones."""
    layers = [each for _ in range(6) for each in (nn.Linear(16, 16, bias=False), nn.Tanh())]
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), *layers, nn.Linear(16, 1))
    with torch.no_grad():
        for layer in model[2:-1:2]:
            layer.weight.mul_(0.02)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.005, momentum=0.9)
    return fitted(model, optimizer, lambda step: (x := rows()[0], 2 * x[:, :1]), 300)


def test_a_tower_in_which_the_gradient_dies():
    assert end(bare(tower)) > 2.5
    assert end(with_remedy(tower, NORMALISE)) < 1.2


def test_every_layer_but_the_last_is_normalised():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 8), nn.Linear(8, 3))
    x = torch.randn(5, 4)
    with Applied([intervention_for(NORMALISE)]):
        found = model(x)
    h = F.layer_norm(model[0](x), (8,))
    assert torch.allclose(found, model[2](F.layer_norm(model[1](h), (8,))))


def test_maps_are_normalised_over_each_sample():
    model = nn.Sequential(nn.Conv2d(1, 3, 3), nn.Conv2d(3, 2, 3))
    x = torch.randn(2, 1, 8, 8)
    with Applied([intervention_for(NORMALISE)]):
        found = model(x)
    h = model[0](x)
    assert torch.allclose(found, model[1](F.layer_norm(h, h.shape[1:])))


def test_a_single_layer_is_its_own_last():
    model = nn.Linear(4, 2)
    applied = intervention_for(NORMALISE)
    x = torch.randn(3, 4)
    with Applied([applied]):
        found = model(x)
    assert found.equal(model(x))
    assert not applied.times
