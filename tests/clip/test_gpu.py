"""On a CUDA device: policies give what they give on the CPU, and wait for nothing."""

import pytest
import torch
from torch import nn

from steadygrad.clip import ClipByGlobalNorm, RobustClip, attach, clip_grad_norm_

from ..contracts.policies import KINDS, Drive, noise, tree

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device"),
]

each = pytest.mark.parametrize(
    "kind", [kind for kind in KINDS if kind.name not in {"QKClip", "RobustClip", "chain"}], ids=lambda kind: kind.name
)


def on_gpu():
    return [nn.Parameter(param.detach().cuda()) for param in tree()]


def run(kind, params, steps=20, **options):
    drive = Drive(kind.make(), params, optimizer=torch.optim.AdamW(params, lr=1e-3, weight_decay=0.0, **options))
    seen = []
    for step in range(steps):
        grads = noise(tree(), 30.0 if step == 15 else 1e-2, seed=step)
        drive.step([grad.to(params[0].device) for grad in grads])
        seen += [grad.cpu() for grad in drive.grads]
    return seen


@each
@pytest.mark.parametrize("fused", [False, True])
def test_a_policy_does_the_same_on_a_gpu(kind, fused):
    for one, other in zip(run(kind, tree(), fused=fused), run(kind, on_gpu(), fused=fused), strict=True):
        torch.testing.assert_close(other, one, rtol=1e-4, atol=1e-7)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "QKClip"], ids=lambda kind: kind.name)
def test_a_folded_step_waits_for_nothing(kind):
    params = on_gpu()
    optimizer = torch.optim.AdamW(params, lr=1e-3, fused=True)
    attached = attach(kind.make(), optimizer)
    assert attached.folded
    batches = [[grad.cuda() for grad in noise(tree(), 1e-2, seed=step)] for step in range(30)]
    for step, batch in enumerate(batches):
        for param, grad in zip(params, batch, strict=True):
            param.grad = grad
        torch.cuda.synchronize()
        if step >= 8:  # the first steps make the optimizer's state
            torch.cuda.set_sync_debug_mode("error")
        try:
            optimizer.step()
        finally:
            torch.cuda.set_sync_debug_mode("default")
    assert all(param.isfinite().all() for param in params)


def test_a_burst_is_clipped_from_norms_that_came_late():
    params = on_gpu()
    optimizer = torch.optim.AdamW(params, lr=1e-3, fused=True)
    attached = attach(RobustClip(), optimizer)
    for step in range(40):
        size = 1e4 if step == 30 else 1.0
        for param, grad in zip(params, noise(tree(), size, seed=step), strict=True):
            param.grad = grad.cuda()
        optimizer.step()
        torch.cuda.synchronize()
        if step == 30:
            assert attached.last.clipped_norm.item() < 1e-3 * attached.last.grad_norm.item()
        else:
            assert attached.last.clipped_norm.item() == attached.last.grad_norm.item()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_large_finite_gradients_keep_their_direction(dtype):
    param = nn.Parameter(torch.zeros(2, device="cuda", dtype=dtype))
    param.grad = torch.tensor([1e25, -1e25], device="cuda", dtype=dtype)
    clip_grad_norm_([param], 1.0)
    assert param.grad.tolist() == pytest.approx([2**-0.5, -(2**-0.5)], rel=1e-2)


def test_a_bad_step_is_left_out_and_the_next_is_made():
    params = on_gpu()
    optimizer = torch.optim.AdamW(params, lr=1e-3, fused=True)
    attach(ClipByGlobalNorm(1.0), optimizer)
    before = [param.detach().clone() for param in params]
    for param in params:
        param.grad = torch.full_like(param, float("nan"))
    optimizer.step()
    assert all(torch.equal(one, other) for one, other in zip(params, before, strict=True))
    for param in params:
        param.grad = torch.ones_like(param)
    optimizer.step()
    assert not any(torch.equal(one, other) for one, other in zip(params, before, strict=True))
