"""A policy before every step of an optimizer: folded into a fused step, with a gradient scaler, with closures."""

import gc
import math

import pytest
import torch
from torch import nn

from steadygrad.clip import ClipByGlobalNorm, ClipByTensorNorm, ClipByValue, RobustClip, attach, chain, snapshot

from ..contracts.policies import noise, norm, tree

FUSED = {
    "adamw": lambda params: torch.optim.AdamW(params, lr=1e-2, fused=True),
    "adam": lambda params: torch.optim.Adam(params, lr=1e-2, fused=True),
    "sgd": lambda params: torch.optim.SGD(params, lr=1e-2, fused=True),
    "momentum": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9, fused=True),
    "dampening": lambda params: torch.optim.SGD(params, lr=1e-2, momentum=0.9, dampening=0.3, fused=True),
    "adagrad": lambda params: torch.optim.Adagrad(params, lr=1e-2, fused=True),
}
fused = pytest.mark.parametrize("make", FUSED.values(), ids=FUSED.keys())


def set_grads(params, grads):
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad.clone()


def states(optimizer):
    """Copies of everything the optimizer keeps."""
    return [
        value.clone()
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]


def equal(one, other):
    return len(one) == len(other) and all(torch.equal(a, b) for a, b in zip(one, other, strict=True))


@fused
@pytest.mark.parametrize("policy", [lambda: ClipByGlobalNorm(0.1), lambda: chain(ClipByTensorNorm(0.2), RobustClip())])
def test_the_fold_is_the_clip(make, policy):
    """A folded step makes the same update as clipping first and stepping then."""
    folded, plain = tree(), tree()
    one, other = make(folded), make(plain)
    first, second = attach(policy(), one), attach(policy(), other, fold=False)
    assert first.folded
    assert not second.folded
    for step in range(15):
        grads = noise(folded, 30.0 if step == 9 else 1.0, seed=step)
        set_grads(folded, grads)
        set_grads(plain, grads)
        one.step()
        other.step()
        for a, b in zip(folded, plain, strict=True):
            torch.testing.assert_close(a, b, rtol=1e-5, atol=1e-6)
            torch.testing.assert_close(a.grad, b.grad, rtol=1e-5, atol=1e-9)
        assert first.last.clipped_norm.item() == pytest.approx(second.last.clipped_norm.item(), rel=1e-5)


@fused
def test_a_sound_step_is_bit_for_bit_the_bare_one(make):
    bare, watched = tree(), tree()
    one, other = make(bare), make(watched)
    attach(RobustClip(), other)
    for step in range(20):
        grads = noise(bare, seed=step)
        set_grads(bare, grads)
        set_grads(watched, grads)
        one.step()
        other.step()
    assert equal(bare, watched)
    assert equal(states(one), states(other))


@fused
@pytest.mark.parametrize("bad_step", [0, 1, 5])
def test_a_bad_step_is_left_out_on_the_device(make, bad_step):
    params, never = tree(), tree()
    one, other = make(params), make(never)
    attach(RobustClip(), one)
    attach(RobustClip(), other)
    for step in range(8):
        grads = noise(params, seed=step)
        if step != bad_step:
            set_grads(never, grads)
            other.step()
        set_grads(params, [grad * (math.nan if step == bad_step else 1.0) for grad in grads])
        one.step()
        assert not hasattr(one, "found_inf")
        assert not hasattr(one, "grad_scale")
    if bad_step == 0 and one.param_groups[0].get("dampening"):
        pytest.skip("torch's first momentum is not dampened; after a skipped first step the second one is")
    assert equal(params, never)
    assert equal(states(one), states(other))


def test_a_skipped_first_step_leaves_no_uninitialised_momentum():
    """torch allocates the buffer and never writes it; with a heap full of NaN the run would be lost."""
    for _ in range(10):
        heap = [torch.full((size,), math.nan) for size in (30, 24, 7, 9, 100)]
        del heap
        gc.collect()
        params = tree()
        optimizer = torch.optim.SGD(params, lr=0.1, momentum=0.9, fused=True)
        attach(RobustClip(), optimizer)
        set_grads(params, [torch.full_like(param, math.nan) for param in params])
        optimizer.step()
        for param in params:
            assert (optimizer.state[param]["momentum_buffer"] == 0).all()


def train(policy, *, fused, scale, steps=30, bad=()):
    """A real model under a gradient scaler; returns its weights and scale."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2, fused=fused)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=10, enabled=scale)
    attached = attach(policy, optimizer)
    generator = torch.Generator().manual_seed(1)
    norms = []
    for step in range(steps):
        x = torch.randn(8, 6, generator=generator)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        if step in bad:
            loss = loss * math.inf
        optimizer.zero_grad()
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
        norms.append(attached.last.grad_norm.item())
    return [param.detach().clone() for param in model.parameters()], scaler.get_scale(), norms


@pytest.mark.parametrize("make", [lambda: ClipByGlobalNorm(0.5), lambda: ClipByValue(0.05), lambda: RobustClip()])
@pytest.mark.parametrize("fused", [False, True])
def test_a_gradient_scaler_changes_nothing(make, fused):
    """Policies see the gradients of the loss itself, and the limits hold for them."""
    plain, _, norms = train(make(), fused=fused, scale=False)
    scaled, _, scaled_norms = train(make(), fused=fused, scale=True)
    assert scaled_norms == pytest.approx(norms, rel=1e-3)
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("fused", [False, True])
def test_an_overflow_is_still_the_scalers(fused):
    weights, scale, _ = train(RobustClip(), fused=fused, scale=True, bad=(29,))
    assert scale == 1024 * 2 * 2 / 2, "grown after ten and twenty sound steps, halved at the last"
    assert all(weight.isfinite().all() for weight in weights)


def test_gradients_are_clipped_after_each_evaluation_of_a_closure():
    param = nn.Parameter(torch.ones(2))
    optimizer = torch.optim.SGD([param], lr=1.0)
    attached = attach(ClipByGlobalNorm(1.0), optimizer)

    def closure():
        optimizer.zero_grad()
        loss = (100.0 * param).sum()
        loss.backward()
        return loss

    for call in (lambda: optimizer.step(closure), lambda: optimizer.step(closure=closure)):
        before = param.detach().clone()
        assert call().item() == pytest.approx(100.0 * before.sum().item())
        assert norm([param.detach() - before]) == pytest.approx(1.0, rel=1e-5)
    assert attached.last.grad_norm.item() == pytest.approx(100.0 * 2**0.5)


def test_schedulers_and_groups_go_on():
    params = tree()
    optimizer = torch.optim.AdamW(params[:3], lr=1e-2, fused=True)
    scheduler = torch.optim.lr_scheduler.StepLR(optimizer, 2)
    attached = attach(ClipByGlobalNorm(0.1), optimizer)
    optimizer.add_param_group({"params": params[3:], "lr": 1e-3})
    for step in range(4):
        set_grads(params, noise(params, seed=step))
        optimizer.step()
        scheduler.step()
    assert attached.last.grad_norm.item() == pytest.approx(norm(noise(params, seed=3)), rel=1e-5)
    assert attached.last.clipped_norm.item() == pytest.approx(0.1, rel=1e-5)


def test_removing_it_is_the_end_of_it():
    params = tree()
    optimizer = torch.optim.SGD(params, lr=1.0)
    with attach(ClipByGlobalNorm(0.1), optimizer):
        pass
    set_grads(params, noise(params))
    optimizer.step()
    assert norm([param.grad for param in params]) == pytest.approx(norm(noise(params)))
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_a_step_that_raises_leaves_no_attributes_for_the_next():
    params = tree()
    optimizer = torch.optim.AdamW(params, lr=1e-2, fused=True)
    attach(ClipByGlobalNorm(0.1), optimizer)
    set_grads(params, noise(params))
    broken = optimizer.param_groups[0]["betas"]
    optimizer.param_groups[0]["betas"] = None
    with pytest.raises(TypeError):
        optimizer.step()
    optimizer.param_groups[0]["betas"] = broken
    set_grads(params, noise(params, 1e-4))
    optimizer.step()
    assert not hasattr(optimizer, "grad_scale")
    assert equal([param.grad for param in params], noise(params, 1e-4)), "the scale of the step before is not in it"


@pytest.mark.parametrize(
    ("policy", "optimizer", "error", "message"),
    [
        (ClipByGlobalNorm(1.0), None, TypeError, "optimizer is a NoneType, expected a torch.optim.Optimizer"),
        (1.0, "sgd", TypeError, "policy is a float, expected a policy"),
        (ClipByGlobalNorm(1.0), "lbfgs", ValueError, "LBFGS compares slopes"),
    ],
)
def test_bad_arguments(policy, optimizer, error, message):
    made = {"sgd": torch.optim.SGD, "lbfgs": torch.optim.LBFGS}
    with pytest.raises(error, match=message):
        attach(policy, made[optimizer](tree()) if optimizer else None)


def test_a_chain_folds_as_one():
    params = tree()
    optimizer = torch.optim.AdamW(params, lr=1e-2, fused=True)
    attached = attach(chain(snapshot("before"), ClipByGlobalNorm(0.5), snapshot("after")), optimizer)
    set_grads(params, noise(params))
    optimizer.step()
    assert attached.last.snapshots["before"].item() == pytest.approx(norm(noise(params)), rel=1e-6)
    assert attached.last.snapshots["after"].item() == pytest.approx(0.5, rel=1e-6)
    assert norm([param.grad for param in params]) == pytest.approx(0.5, rel=1e-5)
