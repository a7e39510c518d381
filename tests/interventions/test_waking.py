"""Units that no sample turns on are turned on by their bias, and nothing else is touched."""

import copy

import pytest
import torch
from torch import nn

from steadygrad.interventions.waking import wake_


def dead(layer, bias=-50.0):
    torch.manual_seed(0)
    nn.init.constant_(layer.bias[:2], bias)
    return layer


@pytest.mark.parametrize(
    ("layer", "shape", "axis"),
    [
        (nn.Linear(6, 6), (16, 6), 1),
        (nn.Linear(6, 6), (16, 5, 6), 2),
        (nn.Conv1d(6, 6, 3), (16, 6, 9), 1),
        (nn.Conv2d(6, 4, 3), (8, 6, 9, 4), 1),
        (nn.BatchNorm1d(6), (16, 6), 1),
        (nn.BatchNorm1d(6), (16, 6, 3), 1),
    ],
)
def test_each_sample_turns_on_what_was_off_and_the_rest_is_as_it_was(layer, shape, axis):
    net = nn.Sequential(dead(layer), nn.ReLU())
    x = torch.randn(shape)
    before = copy.deepcopy(net.state_dict())
    assert wake_(net, (x,), {}, "0")
    after = net.state_dict()
    assert [name for name in before if not torch.equal(before[name], after[name])] == ["0.bias"]
    assert torch.equal(before["0.bias"][2:], after["0.bias"][2:])
    off = net(x).movedim(axis, 0).flatten(1)[:2].eq(0.0)
    assert off.float().mean() < 0.1


def test_what_has_no_bias_or_no_name_is_left_alone():
    net = nn.Sequential(nn.Linear(3, 3, bias=False), nn.ReLU())
    for where in ("", "0", "1", "nowhere"):
        assert not wake_(net, (torch.randn(4, 3),), {}, where)
    alone = nn.Linear(3, 3)
    assert not wake_(alone, (torch.randn(4, 3),), {}, "")


def test_a_net_that_raises_leaves_no_hook():
    class Broken(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x):
            self.layer(x)
            raise RuntimeError("on purpose")

    net = Broken()
    with pytest.raises(RuntimeError, match="on purpose"):
        wake_(net, (torch.randn(4, 3),), {}, "layer")
    assert not net.layer._forward_hooks
