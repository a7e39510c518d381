"""A script's own clips are looked at, and do what they did."""

import pytest
import torch
from torch import nn
from torch.nn.utils import clip_grad_norm_, clip_grad_value_

import steadygrad as sg
from steadygrad._tap import ClipTap, LossTap, ScalerTap

CALLS = {
    "norm, by place": lambda params: nn.utils.clip_grad_norm_(params, 0.1),
    "norm, by name": lambda params: nn.utils.clip_grad_norm_(parameters=params, max_norm=0.1, norm_type=2.0),
    "value, by place": lambda params: nn.utils.clip_grad_value_(params, 0.01),
    "value, by name": lambda params: nn.utils.clip_grad_value_(params, clip_value=0.01),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS)
def test_however_it_is_called_it_clips_as_before(call):
    def clipped(watched):
        torch.manual_seed(0)
        model = nn.Linear(4, 3)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        watch = sg.watch(model, optimizer, record=False) if watched else None
        model(torch.ones(2, 4)).square().sum().backward()
        returned = call(list(model.parameters()))
        optimizer.step()
        if watch is not None:
            watch.close()
        return returned, [param.detach().clone() for param in model.parameters()]

    (bare, bare_params), (seen, seen_params) = clipped(False), clipped(True)
    assert (bare is None and seen is None) or torch.equal(bare, seen)
    assert all(torch.equal(a, b) for a, b in zip(bare_params, seen_params, strict=True))


def test_torch_has_its_own_functions_back_afterwards():
    model = nn.Linear(2, 1)
    watch = sg.watch(model, torch.optim.SGD(model.parameters(), lr=0.1), record=False)
    assert nn.utils.clip_grad_norm_ is not clip_grad_norm_
    watch.close()
    assert nn.utils.clip_grad_norm_ is clip_grad_norm_
    assert nn.utils.clip_grad_value_ is clip_grad_value_


def test_each_training_is_known_by_the_clip_of_its_own_parameters():
    """A generator is clipped, its discriminator by another norm, and somebody else not at all."""
    taps = LossTap(pytest.fail)
    clips = ClipTap(ScalerTap(taps, lambda *args: None, pytest.fail), pytest.fail)
    one, other, third = (list(nn.Linear(4, 3).parameters()) for _ in range(3))
    clips.install()
    try:
        nn.utils.clip_grad_norm_([*one, *other], 5.0)
        nn.utils.clip_grad_norm_(third[:1], 0.5)
        nn.utils.clip_grad_norm_(one, 2.0)
        assert [clips.longest_of(each) for each in (other, third[:1], third)] == [5.0, 0.5, torch.inf]
        nn.utils.clip_grad_norm_([*one, *other], 3.0)
        assert clips.longest_of(other) == 3.0
    finally:
        clips.remove()
