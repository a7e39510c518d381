"""A recurrent layer holds its weights a second time: they are no state that a bad batch has left."""

import torch
from torch import nn

from steadygrad._tap import CarriedState


def test_weights_that_are_not_finite_stay_the_layer_s_own():
    layer = nn.GRU(3, 4)
    with torch.no_grad():
        layer.weight_hh_l0.fill_(float("nan"))
    cleared: list[str] = []
    state = CarriedState([layer], cleared.append, cleared.append)
    state.arm()
    state.disarm()
    assert cleared == []
    assert layer._flat_weights[1] is layer.weight_hh_l0


def test_a_state_that_a_module_keeps_is_cleared():
    class Keeps(nn.GRU):
        kept = None

    layer = Keeps(3, 4)
    layer.kept = torch.full((1, 4), float("nan"))
    cleared: list[str] = []
    state = CarriedState([layer], cleared.append, cleared.append)
    state.arm()
    state.disarm()
    assert cleared == ["Keeps.kept"]
    assert layer.kept.tolist() == [[0.0] * 4]
