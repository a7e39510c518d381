"""Weights in half precision that train in float32."""

import copy

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for, kept_of, state_of
from steadygrad.interventions.wide_weights import Float32Weights

OPTIMIZERS = {
    "sgd": lambda params: torch.optim.SGD(params, lr=1e-4),
    "momentum": lambda params: torch.optim.SGD(params, lr=1e-4, momentum=0.9),
    "adam": lambda params: torch.optim.Adam(params, lr=1e-5),
    "fused": lambda params: torch.optim.AdamW(params, lr=1e-5, fused=True),
    "foreach": lambda params: torch.optim.AdamW(params, lr=1e-5, foreach=True),
    "rmsprop": lambda params: torch.optim.RMSprop(params, lr=1e-6, momentum=0.5),
}


def tiny(dtype=torch.bfloat16):
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 16), nn.GELU(), nn.Linear(16, 1)).to(dtype)


def batches(steps, dtype=torch.bfloat16):
    draw = torch.Generator().manual_seed(1)
    return [torch.randn(32, 4, generator=draw).to(dtype) for _ in range(steps)]


def pass_back(model, x):
    (model(x) - x.sum(1, keepdim=True)).square().mean().backward()


def by_hand(make, steps, dtype):
    """As people write it: a float32 copy that is stepped on, and rounded into the model."""
    model = tiny(dtype)
    masters = [nn.Parameter(each.detach().float()) for each in model.parameters()]
    optimizer = make(masters)
    for x in batches(steps, dtype):
        pass_back(model, x)
        for master, each in zip(masters, model.parameters(), strict=True):
            master.grad, each.grad = each.grad.float(), None
        optimizer.step()
        with torch.no_grad():
            for master, each in zip(masters, model.parameters(), strict=True):
                each.copy_(master)
    return model, masters


def trained(model, optimizer, xs):
    for x in xs:
        optimizer.zero_grad()
        pass_back(model, x)
        optimizer.step()


def same(ones, others):
    return all(torch.equal(one, other) for one, other in zip(ones, others, strict=True))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_it_is_the_training_by_hand_to_the_last_bit(name, dtype):
    wanted, masters = by_hand(OPTIMIZERS[name], 200, dtype)
    model = tiny(dtype)
    with Applied([intervention_for("float32-weights")]) as applied:
        trained(model, OPTIMIZERS[name](model.parameters()), batches(200, dtype))
        (layer,) = applied._interventions[0].layers
        assert same(layer._wide, masters)
    assert same(model.parameters(), wanted.parameters())
    untouched = tiny(dtype)
    trained(untouched, OPTIMIZERS[name](untouched.parameters()), batches(200, dtype))
    assert not same(untouched.parameters(), wanted.parameters())


def test_between_steps_everything_is_as_the_script_has_it():
    model = tiny()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        for x in batches(3):
            optimizer.zero_grad()
            pass_back(model, x)
            grads = [each.grad for each in model.parameters()]
            places = [each.data_ptr() for each in model.parameters()]
            optimizer.step()
            assert all(each.grad is grad for each, grad in zip(model.parameters(), grads, strict=True))
            assert [each.data_ptr() for each in model.parameters()] == places
            assert {each.dtype for each in model.parameters()} == {torch.bfloat16}


def test_gradients_go_on_being_accumulated():
    model = tiny()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    (x,) = batches(1)
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        pass_back(model, x)
        optimizer.step()
        before = [each.grad.clone() for each in model.parameters()]
        pass_back(model, x)
        assert not same([each.grad for each in model.parameters()], before)


def test_weights_that_somebody_else_has_written_are_what_is_stepped_on():
    model = tiny()
    optimizer = OPTIMIZERS["sgd"](model.parameters())
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        trained(model, optimizer, batches(20))
        with torch.no_grad():
            for each in model.parameters():
                each.fill_(0.5)
        (layer,) = applied._interventions[0].layers
        (x,) = batches(1)
        optimizer.zero_grad()
        pass_back(model, x)
        grads = [each.grad.float() for each in model.parameters()]
        optimizer.step()
        for wide, grad in zip(layer._wide, grads, strict=True):
            assert torch.equal(wide, torch.full_like(wide, 0.5) - 1e-4 * grad)


def test_a_step_that_is_not_made_changes_nothing():
    model = tiny()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    intervention = Float32Weights()
    trained(model, optimizer, batches(5))
    before = copy.deepcopy(list(model.parameters()))
    pass_back(model, batches(1)[0])
    intervention.before_step(optimizer)
    assert {each.dtype for each in model.parameters()} == {torch.float32}
    intervention.step_aside()
    assert same(model.parameters(), before)
    intervention.step_back()
    intervention.after_step(optimizer)
    assert same(model.parameters(), before)


def test_moments_are_wide_while_it_lasts_and_the_script_goes_on_afterwards():
    model = tiny()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    trained(model, optimizer, batches(3))
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        trained(model, optimizer, batches(3))
        assert {state["exp_avg"].dtype for state in optimizer.state.values()} == {torch.float32}
    assert {state["exp_avg"].dtype for state in optimizer.state.values()} == {torch.bfloat16}
    trained(model, optimizer, batches(3))


def test_after_a_restart_it_goes_on():
    """torch loads moments as narrow as the weights."""
    model = tiny()
    optimizer = OPTIMIZERS["adam"](model.parameters())
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        trained(model, optimizer, batches(20))
        kept = state_of(applied._interventions[0], list(model.parameters()))
    saved = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    again = tiny()
    resumed = OPTIMIZERS["adam"](again.parameters())
    again.load_state_dict(saved[0])
    resumed.load_state_dict(saved[1])
    with Applied([kept_of(kept, list(again.parameters()))], resumed=True) as applied:
        applied.adopt(resumed)
        trained(again, resumed, batches(40))
    assert {state["exp_avg_sq"].dtype for state in resumed.state.values()} == {torch.float32}
    assert not same(again.parameters(), model.parameters())


def test_float32_is_left_alone():
    model = tiny(torch.float32)
    optimizer = OPTIMIZERS["adam"](model.parameters())
    with Applied([intervention_for("float32-weights")]) as applied:
        applied.adopt(optimizer)
        trained(model, optimizer, batches(5, torch.float32))
        assert applied.times == 0
