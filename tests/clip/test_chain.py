"""Policies one after the other."""

import pytest
import torch
from torch import nn

from steadygrad.clip import (
    AGC,
    AdaGC,
    AutoClip,
    ClipByGlobalNorm,
    ClipByTensorNorm,
    ClipByValue,
    RobustClip,
    ZClip,
    chain,
    snapshot,
)

from ..contracts.policies import noise, norm, tree


def with_grads(size=1.0):
    params = tree()
    for param, grad in zip(params, noise(params, size), strict=True):
        param.grad = grad
    return params


def test_a_chain_is_its_policies_one_after_the_other():
    chained, single = with_grads(10.0), with_grads(10.0)
    policies = [ClipByValue(5.0), AGC(0.5, exclude=()), ClipByTensorNorm(2.0), ClipByGlobalNorm(1.0)]
    result = chain(*policies)(chained)
    for policy in policies:
        policy(single)
    for one, other in zip(chained, single, strict=True):
        torch.testing.assert_close(one.grad, other.grad, rtol=1e-6, atol=0)
    assert result.clipped_norm.item() == pytest.approx(norm([param.grad for param in chained]), rel=1e-6)


def test_snapshots_see_their_place():
    params = with_grads(10.0)
    each = snapshot("each", lambda gradients: gradients.norms())
    result = chain(snapshot("first"), ClipByTensorNorm(2.0), each, ClipByGlobalNorm(1.0), snapshot("last"))(params)
    assert result.snapshots["first"].item() == pytest.approx(result.grad_norm.item())
    assert result.snapshots["each"].max().item() == pytest.approx(2.0)
    assert result.snapshots["last"].item() == pytest.approx(1.0)


def test_gradients_are_measured_once_and_scaled_once(monkeypatch):
    from steadygrad.clip import gradients as module

    calls = []
    real_norm, real_scale = module.norm_vector, module.scale_
    monkeypatch.setattr(module, "norm_vector", lambda *args: calls.append("norm") or real_norm(*args))
    monkeypatch.setattr(module, "scale_", lambda *args: calls.append("scale") or real_scale(*args))
    chain(snapshot("a"), ClipByTensorNorm(1e9), snapshot("b"), ClipByGlobalNorm(0.1), snapshot("c"))(with_grads())
    assert calls.count("norm") == 1
    calls.clear()
    chain(snapshot("a"), ClipByGlobalNorm(0.1))(with_grads())
    assert calls == ["norm", "scale"]


def test_chains_are_flat():
    inner = chain(ClipByValue(1.0), snapshot("a"))
    assert len(chain(inner, ClipByGlobalNorm(1.0)).policies) == 3


def test_the_state_has_places_and_kinds():
    first = chain(snapshot("a"), AdaGC(warmup_steps=2), AutoClip(window=8))
    for _ in range(3):
        first(with_grads())
    state = first.state_dict()
    assert list(state) == ["0.Snapshot", "1.AdaGC", "2.AutoClip"]
    with pytest.raises(
        ValueError, match=r"chain of \['0.Snapshot', '1.AdaGC', '2.AutoClip'\], expected \['0.AutoClip'\]"
    ):
        chain(AutoClip()).load_state_dict(state)


def test_nonfinite_zero():
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([1.0, float("nan")])
    assert not chain(ClipByGlobalNorm(1.0), nonfinite="zero")([weight]).finite.item()
    assert weight.grad.tolist() == [0.0, 0.0]


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: chain(), "there is no policy, expected at least one"),
        (lambda: chain(1.0), "a policy is 1.0, expected a policy"),
        (lambda: chain(ClipByGlobalNorm(1.0), ZClip()), "ClipByGlobalNorm and ZClip both decide about the global norm"),
        (lambda: chain(AutoClip(), snapshot("a"), RobustClip()), "AutoClip and RobustClip both decide"),
        (lambda: chain(ClipByTensorNorm(1.0), AdaGC()), "both decide about the tensor norm"),
        (lambda: chain(snapshot("a"), snapshot("a")), "two snapshots are called 'a'"),
        (lambda: snapshot(""), "name is ''"),
        (lambda: chain(ClipByGlobalNorm(1.0), nonfinite="drop"), "nonfinite is 'drop', expected one of keep, zero"),
    ],
)
def test_what_contradicts_itself_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
