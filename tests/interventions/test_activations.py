"""ReLUs that let a little gradient through."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, rows, with_remedy

LEAKY = "leaky-relu"

RELUS = {
    "module": nn.ReLU(),
    "in-place": nn.ReLU(inplace=True),
    "function": F.relu,
    "torchs": torch.relu,
    "method": lambda v: v.relu(),
    "clamp": lambda v: v.clamp(min=0),
    "clamp-positional": lambda v: v.clamp(0),
    "clamp-min": lambda v: v.clamp_min(0),
    "in-place-method": lambda v: v.clone().relu_(),
}


class Dead(nn.Module):
    """Every unit is off on every sample."""

    def __init__(self, activation):
        super().__init__()
        self.into, self.out, self.activation = nn.Linear(4, 32), nn.Linear(32, 1), activation
        with torch.no_grad():
            self.into.bias.fill_(-3.0)

    def forward(self, x):
        return self.out(self.activation(self.into(x)))


@pytest.mark.parametrize("name", RELUS)
def test_units_that_never_fire(name):
    def training():
        model = Dead(RELUS[name])
        return fitted(model, torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), rows, 250)

    assert end(bare(training)) > 0.5
    assert end(with_remedy(training, LEAKY)) < 0.15


@pytest.mark.parametrize("name", RELUS)
def test_what_it_computes(name):
    v = torch.tensor([-2.0, 0.0, 3.0], requires_grad=True)
    with Applied([intervention_for(LEAKY)]):
        found = RELUS[name](v * 1.0)
    found.sum().backward()
    assert found.tolist() == pytest.approx([-0.02, 0.0, 3.0])
    assert v.grad.tolist() == pytest.approx([0.01, 0.01, 1.0])


def test_a_relu_in_place_whose_result_is_not_used():
    v = torch.tensor([-2.0, 3.0], requires_grad=True)
    with Applied([intervention_for(LEAKY)]):
        h = v * 1.0
        h.relu_()
        other = v * 1.0
        F.relu(other, inplace=True)
    assert h.tolist() == pytest.approx([-0.02, 3.0])
    assert other.tolist() == pytest.approx([-0.02, 3.0])


def test_other_bounds_are_left_alone():
    v = torch.tensor([-2.0, 0.5, 3.0], requires_grad=True)
    applied = intervention_for(LEAKY)
    with Applied([applied]):
        assert v.clamp(0, 1).tolist() == [0.0, 0.5, 1.0]
        assert v.clamp(min=-1).tolist() == [-1.0, 0.5, 3.0]
        assert v.clamp(min=0, max=1).tolist() == [0.0, 0.5, 1.0]
        assert v.detach().clamp(min=0).tolist() == [0.0, 0.5, 3.0]
    assert not applied.times
