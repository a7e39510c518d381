"""What a script remembers of each parameter is found where its code keeps it, and nothing else is."""

import sys

import pytest
import torch
from torch import nn

from steadygrad._tap.own_moments import own_moments


def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))


def leaves(model):
    return list(reversed(list(model.parameters())))  # as they are found from the loss


def in_lists():
    model = net()
    m = [torch.full_like(p, 1.0) for p in model.parameters()]
    v = tuple(torch.full_like(p, 2.0) for p in model.parameters())
    best = [p.detach()[None] for p in model.parameters()]  # of another shape
    count = [0, 1, 2, 3]
    return own_moments(leaves(model), sys._getframe()), dict(model.named_parameters()), (m, v, best, count)


def by_name():
    model = net()
    m = {name: torch.full_like(p, 1.0) for name, p in model.named_parameters()}
    v = {name: torch.full_like(p, 2.0) for name, p in model.named_parameters()}
    return own_moments(leaves(model), sys._getframe()), dict(model.named_parameters()), (m, v)


def by_the_parameters():
    model = net()
    state = {p: {"m": torch.full_like(p, 1.0), "v": torch.full_like(p, 2.0), "step": 3} for p in model.parameters()}
    return own_moments(leaves(model), sys._getframe()), dict(model.named_parameters()), state


class Adam:
    def __init__(self, params):
        self.params = list(params)
        self.m = [torch.full_like(p, 1.0) for p in self.params]
        self.v = [torch.full_like(p, 2.0) for p in self.params]


def in_an_object():
    model = net()
    optimizer = Adam([p for _, p in sorted(model.named_parameters())])

    def inner():
        return own_moments(leaves(model), sys._getframe())

    return inner(), dict(model.named_parameters()), optimizer


@pytest.mark.parametrize("kept", [in_lists, by_name, by_the_parameters, in_an_object], ids=lambda kept: kept.__name__)
def test_what_lies_beside_each_parameter_is_found(kept):
    found, params, _ = kept()
    assert found.keys() == set(params.values())
    for param, moments in found.items():
        assert moments.keys() == {"m", "v"}
        assert moments["m"].eq(1.0).all()
        assert moments["v"].eq(2.0).all()
        assert moments["m"].shape == param.shape


def test_parameters_and_gradients_are_no_moments():
    model = net()
    model(torch.randn(4, 6)).sum().backward()
    params, grads = list(model.parameters()), [p.grad for p in model.parameters()]
    assert own_moments(params, sys._getframe()) == {}
    assert grads


def test_a_single_parameter_has_none():
    """Any tensor of its shape might be meant."""
    weight = torch.zeros(4, requires_grad=True)
    velocity = [torch.zeros(4)]
    assert own_moments([weight], sys._getframe()) == {}
    assert velocity


SCRIPT = """
import torch
from torch import nn
torch.manual_seed(0)
model = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), nn.Linear(8, 1))
velocity = [torch.zeros_like(p) for p in model.parameters()]
for step in range(160):
    x = torch.randn(32, 6)
    loss = (model(x) - x[:, :1]).square().mean()
    loss.backward()
    with torch.no_grad():
        for p, v in zip(model.parameters(), velocity):
            v.mul_(0.9).add_(p.grad)
            if step == 100:
                v.add_(1e4 * torch.randn_like(v))  # a line gone wrong
            p.sub_(0.02 * v)
            p.grad = None
    if step in (99, 100, 120):
        print("velocity", max(v.abs().max().item() for v in velocity))
"""


def test_what_is_remembered_goes_back_with_the_weights(runner):
    """Momentum by hand: what a bad step has left in it would throw the weights again that were put back."""
    runner.write(SCRIPT)
    ran = runner.watched("train.py")
    sound, bad, after = (float(line.split()[1]) for line in ran.stdout.splitlines() if line.startswith("velocity"))
    assert "roll-back" in ran.summary["action_counts"]
    assert max(sound, after) < 10.0 < bad  # of an early step it may be larger than of the last sound one
