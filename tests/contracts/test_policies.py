"""What every policy promises, asked of every policy."""

import io
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch._subclasses.fake_tensor import FakeTensorMode

from steadygrad import _readback
from steadygrad.clip import POLICIES, AdaGC, ClipByUpdateRMS, Gradients

from .policies import KINDS, Drive, noise, norm, tree

each = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
adaptive = pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.adapts], ids=lambda kind: kind.name)

elements = st.one_of(
    st.just(0.0), st.floats(min_value=1e-6, max_value=1e30), st.floats(max_value=-1e-6, min_value=-1e30)
)


def test_every_policy_is_here():
    made = {type(kind.make()) for kind in KINDS}
    assert set(POLICIES) <= made


@each
@settings(max_examples=25, deadline=None)
@given(data=st.data())
def test_it_never_raises_a_norm(kind, data):
    params = tree()
    drive = Drive(kind.make(), params, optimizer=torch.optim.Adam(params, lr=1e-9))
    for step in range(data.draw(st.integers(1, 8))):
        scale = data.draw(st.sampled_from([0.0, 1e-10, 1e-3, 1.0, 30.0, 1e6, 1e25]))
        grads = [
            None if data.draw(st.booleans()) and data.draw(st.booleans()) else scale * grad
            for grad in noise(params, seed=step)
        ]
        drive.step(grads)
        for after, before in zip(drive.grads, grads, strict=True):
            assert (after is None) == (before is None)
            if after is not None:
                assert after.isfinite().all()
                assert after.double().norm() <= before.double().norm() * (1 + 1e-6)
                assert (after.double() * before.double() >= 0).all(), "no element changes its sign"


@each
def test_it_is_the_identity_below_its_threshold(kind):
    params = tree()
    drive = Drive(kind.make(), params)
    for step in range(30):
        # The same direction and a size that never rises: nothing here is unusual in anybody's eyes.
        grads = noise(params, kind.usual * 0.97**step)
        drive.step(grads)
        assert all(torch.equal(after, before) for after, before in zip(drive.grads, grads, strict=True)), step


@each
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_any_dtype_and_any_shape(kind, dtype):
    params = tree(dtype)
    drive = Drive(kind.make(), params, optimizer=torch.optim.Adam(params, lr=1e-4, eps=1e-4))
    for step in range(8):
        result = drive.step(noise(params, 2.0, seed=step))
        assert all(grad.isfinite().all() for grad in drive.grads)
        assert result.clipped_norm.item() <= result.grad_norm.item() * (1 + 1e-6)
        assert result.clipped_norm.item() == pytest.approx(
            norm(drive.grads), rel=2e-2 if dtype != torch.float64 else 1e-9
        )


@each
def test_dtypes_and_missing_gradients_may_be_mixed(kind):
    params = [*tree(), *tree(torch.bfloat16), *tree(torch.float64)]
    drive = Drive(kind.make(), params)
    for step in range(10):
        grads = [None if (place + step) % 4 == 0 else grad for place, grad in enumerate(noise(params, 1.0, seed=step))]
        result = drive.step(grads)
        assert [grad is None for grad in drive.grads] == [grad is None for grad in grads]
        assert result.grad_norm.item() == pytest.approx(norm(grads), rel=1e-2)


@each
def test_no_gradient_at_all_is_nothing_to_do(kind):
    params = tree()
    result = Drive(kind.make(), params).step([None] * len(params))
    assert result.grad_norm.item() == result.clipped_norm.item() == 0.0
    assert result.finite.item()


@each
def test_sparse_gradients(kind):
    policy = kind.make()
    if policy.needs_step:
        pytest.skip("works on optimizers that take no sparse gradients, or not on gradients")
    table = nn.Parameter(torch.randn(20, 4))
    weight = nn.Parameter(torch.randn(4, 3))
    for _ in range(6):
        table.grad = torch.sparse_coo_tensor(
            torch.tensor([[1, 1, 7]]), torch.full((3, 4), 50.0), (20, 4), check_invariants=False
        )
        weight.grad = torch.full((4, 3), 0.01)
        whole = table.grad.to_dense().clone()
        result = policy([table, weight])
        after = table.grad.to_dense()
        assert result.grad_norm.item() == pytest.approx(norm([whole, torch.full((4, 3), 0.01)]))
        assert after.norm() <= whole.norm() * (1 + 1e-6)
        assert (after[[0, 2, 3]] == 0).all()
        assert result.clipped_norm.item() == pytest.approx(norm([after, weight.grad]), rel=1e-5)


def tell(policy, params):
    """A few usual steps."""
    drive = Drive(policy, params)
    for step in range(12):
        drive.step(noise(params, 1e-3, seed=step))
    return drive


@each
@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("fused", [False, True])
def test_what_is_not_finite_comes_out_as_documented(kind, bad, fused):
    params = tree()
    policy = kind.make()
    optimizer = torch.optim.AdamW(params, lr=1e-3, fused=fused)
    drive = Drive(policy, params, optimizer=optimizer)
    for step in range(12):
        drive.step(noise(params, 1e-3, seed=step))
    grads = noise(params, 1e-3, seed=99)
    grads[1][0, 0, 0] = bad
    result = drive.step(grads)
    assert not result.finite.item()
    if drive.attached.folded:
        assert norm(drive.moved) == 0.0, "the device leaves the step out"
        assert norm(drive.grads) == 0.0, "nothing is left for an accumulation"
    elif policy.nonfinite == "zero":
        assert all((grad == 0).all() for grad in drive.grads)
    else:
        kept = kind.name == "ClipByValue" and not math.isnan(bad)
        for place, (after, before) in enumerate(zip(drive.grads, grads, strict=True)):
            if place == 1 and kept:
                assert after[0, 0, 0] == math.copysign(0.5, bad), "as in torch"
            else:
                assert torch.equal(after.nan_to_num(7.0, 8.0, 9.0), before.nan_to_num(7.0, 8.0, 9.0))


@each
def test_one_nan_teaches_it_nothing(kind):
    """The step after is clipped just as if the bad one had never been."""
    outcomes = []
    for with_nan in (False, True):
        params = tree()
        policy = kind.make()
        drive = Drive(policy, params, optimizer=torch.optim.AdamW(params, lr=1e-3, fused=True))
        for step in range(12):
            drive.step(noise(params, 1e-3, seed=step))
        if with_nan:
            drive.step([torch.full_like(param, math.nan) for param in params])
        trace = []
        for step in range(30):
            drive.step(noise(params, 50.0 if step == 7 else 1e-3, seed=100 + step))
            trace += drive.grads
        outcomes.append(trace)
    assert all(torch.equal(one, other) for one, other in zip(*outcomes, strict=True))


@adaptive
def test_it_follows_a_genuine_tenfold_rise(kind):
    params = tree()
    policy = AdaGC(warmup_steps=5, lambda_abs=math.inf, patience=20) if kind.name == "AdaGC" else kind.make()
    if kind.name == "chain":
        pytest.skip("its first policy has a fixed threshold")
    drive = Drive(policy, params)
    for step in range(60):
        drive.step(noise(params, 1e-3, seed=step))
    shares = []
    for step in range(80):
        grads = noise(params, 1e-2, seed=step)
        drive.step(grads)
        shares.append(norm(drive.grads) / norm(grads))
    assert min(shares[60:]) > 0.5, "after sixty steps it is the usual size"


@each
def test_a_tensor_whose_gradient_was_zero_is_never_frozen(kind):
    params = tree()
    drive = Drive(kind.make(), params)
    for step in range(150):
        grads = noise(params, 1e-3, seed=step)
        grads[0].zero_()
        drive.step(grads)
    shares = []
    for step in range(10):
        grads = noise(params, 1e-3, seed=500 + step)
        drive.step(grads)
        shares.append((drive.grads[0].norm() / grads[0].norm()).item())
    assert max(shares) > 0.5
    assert drive.moved[0].norm() > 0


def saved(state):
    """Through torch's own file format, as a checkpoint goes."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@each
@pytest.mark.parametrize("before", [0, 3, 40])
def test_it_goes_on_from_its_state(kind, before):
    params = tree()
    first = Drive(kind.make(), params)
    for step in range(before):
        first.step(noise(params, 1e-3 if step != 30 else 1.0, seed=step))
    copies = [nn.Parameter(param.detach().clone()) for param in params]
    optimizer = torch.optim.AdamW(copies, lr=1e-3, weight_decay=0.0)
    optimizer.load_state_dict(saved(first.optimizer.state_dict()))
    policy = kind.make()
    policy.load_state_dict(saved(policy.state_dict() if before == 0 else first.policy.state_dict()))
    second = Drive(policy, copies, optimizer=optimizer)
    for step in range(40):
        grads = noise(params, 30.0 if step == 9 else 1e-3, seed=1000 + step)
        first.step(grads)
        second.step(grads)
        assert all(torch.equal(one, other) for one, other in zip(first.grads, second.grads, strict=True)), step
        assert all(torch.equal(one, other) for one, other in zip(params, copies, strict=True)), step


@each
def test_the_device_decides_as_the_host_does(kind, monkeypatch):
    """With nothing to peek at, factors stay on the device, and every gradient is multiplied."""
    traces = []
    for free in (True, False):
        if not free:
            monkeypatch.setattr(_readback, "_free_to_read", lambda tensor: False)
        params = tree()
        drive = Drive(kind.make(), params)
        if not free and kind.name in {"RobustClip", "chain"}:
            # Norms arrive late on a device: hand them over as a device would, after the step.
            robust = drive.policy if kind.name == "RobustClip" else drive.policy.policies[-1]
            arrive = robust._late._waiting.append
            monkeypatch.setattr(robust._late, "post", lambda values, arrive=arrive: arrive((values.clone(), None)))
        trace = []
        for step in range(40):
            drive.step(noise(params, 40.0 if step == 25 else 1e-3, seed=step))
            trace.append(drive.grads)
        traces.append(trace)
    for step, (host, device) in enumerate(zip(*traces, strict=True)):
        for one, other in zip(host, device, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-12, msg=f"step {step}")


@each
@pytest.mark.parametrize("devices", [["cpu"] * 3, ["cuda"] * 3, ["cuda", "cpu", "cuda:1"]], ids=str)
def test_nothing_is_read_of_a_tensor_without_values(kind, devices):
    """Not of an accelerator's either, and gradients on several devices are clipped as one."""
    with FakeTensorMode():
        shapes = [(6, 5), (7,), ()]
        params = [
            nn.Parameter(torch.randn(shape, device=device)) for shape, device in zip(shapes, devices, strict=True)
        ]
        optimizer = torch.optim.AdamW(params, lr=1e-3)
        policy = kind.make()
        for _ in range(6):
            for param in params:
                param.grad = torch.randn_like(param)
                optimizer.state[param] = {
                    "step": torch.tensor(3.0),
                    "exp_avg": torch.zeros_like(param),
                    "exp_avg_sq": torch.ones_like(param),
                }
            result = policy.clip_(Gradients.of(optimizer))
            policy.before_step(optimizer)
            policy.after_step(optimizer)
            assert result.grad_norm.shape == result.clipped_norm.shape == ()
            assert result.grad_norm.device == params[0].device


@each
def test_overflowing_squares_keep_their_direction(kind):
    params = tree()
    policy = kind.make()
    if isinstance(policy, ClipByUpdateRMS):
        pytest.skip("Adam's own second moment has no room for such gradients")
    drive = Drive(policy, params, optimizer=torch.optim.Adam(params, lr=1e-9))
    drive.step(noise(params, 1e-3))
    grads = noise(params, 1e25)
    result = drive.step(grads)
    assert result.finite.item()
    assert result.grad_norm.item() == pytest.approx(norm(grads), rel=1e-5)
    for after, before in zip(drive.grads, grads, strict=True):
        if kind.name not in {"SPAM", "ClipByValue", "AGC"}:
            cosine = (after.double() * before.double()).sum() / (after.double().norm() * before.double().norm())
            assert cosine == pytest.approx(1.0, abs=1e-5)
        assert after.isfinite().all()
        assert after.norm() > 0


@each
def test_an_empty_list_says_what_was_expected(kind):
    with pytest.raises(ValueError, match="expected"):
        kind.make()([])
