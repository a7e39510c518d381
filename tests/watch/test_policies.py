"""A policy of the user's own inside `watch`: it scales, the guard still skips and tells."""

import math

import pytest
import torch
from torch import nn

import steadygrad as sg
from tests.contracts.policies import KINDS


def train(clip, *, steps=60, bad=(), make=None, tmp_path=None, scaler=False, factor=math.nan, mode="protect"):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = make(model.parameters()) if make else torch.optim.AdamW(model.parameters(), lr=1e-2)
    amp = torch.amp.GradScaler("cpu", init_scale=256.0, enabled=scaler)
    watch = sg.watch(model, optimizer, clip=clip, mode=mode, record=tmp_path or False)
    generator = torch.Generator().manual_seed(1)
    for step in range(steps):
        x = torch.randn(8, 6, generator=generator)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean() * (factor if step in bad else 1.0)
        optimizer.zero_grad()
        amp.scale(loss).backward()
        amp.step(optimizer)
        amp.update()
    watch.close()
    return [param.detach().clone() for param in model.parameters()], watch


def by_hand(policy, *, steps=60, make=None):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(6, 16), nn.Tanh(), nn.Linear(16, 1))
    optimizer = make(model.parameters()) if make else torch.optim.AdamW(model.parameters(), lr=1e-2)
    sg.clip.attach(policy, optimizer, fold=False)
    generator = torch.Generator().manual_seed(1)
    for _ in range(steps):
        x = torch.randn(8, 6, generator=generator)
        loss = (model(x) - x.sum(1, keepdim=True)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return [param.detach().clone() for param in model.parameters()]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "QKClip"], ids=lambda kind: kind.name)
def test_watched_is_attached(kind, tmp_path):
    """The same policy makes the same training, attached by hand or inside a watch."""
    weights, watch = train(kind.make(), tmp_path=tmp_path)
    assert all(torch.equal(one, other) for one, other in zip(weights, by_hand(kind.make()), strict=True))
    run = sg.open_run(watch.run)
    assert run.verdict == "healthy"
    assert not list(run.main.actions()), "a policy at its everyday work is no action"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind.name != "QKClip"], ids=lambda kind: kind.name)
@pytest.mark.parametrize("fused", [False, True])
def test_the_guard_skips_what_is_not_finite(kind, fused, tmp_path):
    weights, watch = train(
        kind.make(),
        bad=(20, 21, 40),
        tmp_path=tmp_path,
        make=lambda params: torch.optim.AdamW(params, lr=1e-2, fused=fused),
    )
    assert all(weight.isfinite().all() for weight in weights)
    assert [action.step for action in sg.open_run(watch.run).main.actions() if action.action == "skip"] == [20, 21, 40]


def test_what_the_policy_did_is_recorded(tmp_path):
    _, watch = train(sg.clip.ClipByGlobalNorm(0.5), tmp_path=tmp_path)
    steps = sg.open_run(watch.run).main.steps()
    clipped, norm = steps.clipped_norm, steps.grad_norm
    assert (norm > 0.5).sum() > 10
    assert clipped.max() <= 0.5 * (1 + 1e-6)
    assert ((norm > 0.5) == (steps.coefficient < 1.0)).all()


@pytest.mark.parametrize("fused", [False, True])
def test_limits_hold_for_the_unscaled_gradients(fused, tmp_path):
    make = lambda params: torch.optim.AdamW(params, lr=1e-2, fused=fused)  # noqa: E731
    plain, _ = train(sg.clip.ClipByGlobalNorm(0.5), make=make)
    scaled, watch = train(sg.clip.ClipByGlobalNorm(0.5), make=make, scaler=True, tmp_path=tmp_path)
    for one, other in zip(plain, scaled, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)
    assert sg.open_run(watch.run).main.steps().clipped_norm.max() <= 0.5 * (1 + 1e-5)


def test_false_scales_nothing_and_still_skips(tmp_path):
    _, watch = train(False, bad=(30,), factor=1e6, tmp_path=tmp_path)
    run = sg.open_run(watch.run)
    assert not list(run.main.actions())
    assert [alarm.detector for alarm in run.main.alarms()] == ["gradient-spike"]
    _, watch = train(False, bad=(30,), tmp_path=tmp_path)
    assert [action.action for action in sg.open_run(watch.run).main.actions()] == ["skip"]


def test_observing_leaves_the_policy_out():
    bare = by_hand(sg.clip.ClipByGlobalNorm(1e9))
    weights, _ = train(sg.clip.ClipByGlobalNorm(0.01), mode="observe")
    assert all(torch.equal(one, other) for one, other in zip(weights, bare, strict=True))


def test_a_robust_clip_of_your_own_is_the_guards():
    policy = sg.clip.RobustClip(window=32)
    train(policy, bad=(30,), factor=1e6)
    assert policy.state_dict()["clock"] == 60


def test_several_optimizers():
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizers = [torch.optim.SGD(layer.parameters(), lr=1.0) for layer in model]
    made = []

    def make():
        made.append(sg.clip.ClipByGlobalNorm(0.1))
        return made[-1]

    with sg.watch(model, optimizers, clip=make, record=False):
        model(torch.ones(3, 2)).sum().backward()
        before = [param.detach().clone() for param in model.parameters()]
        for optimizer in optimizers:
            optimizer.step()
    assert len(made) == 2
    moved = [(param - old).norm().item() for param, old in zip(model.parameters(), before, strict=True)]
    assert math.hypot(*moved[:2]) == pytest.approx(0.1, rel=1e-4)
    with pytest.raises(ValueError, match="clip is one ClipByGlobalNorm for 2 optimizers, expected a function"):
        sg.watch(model, optimizers, clip=sg.clip.ClipByGlobalNorm(0.1))
    with pytest.raises(TypeError, match=r"clip is a float, expected a policy of steadygrad\.clip, or False"):
        sg.watch(model, optimizers[0], clip=1.0)


def test_a_policy_that_fails_ends_the_watching_and_not_the_training(capfd):
    """SPAM needs second moments, and SGD has none: the run goes on as if nobody had watched."""

    def make(params):
        return torch.optim.SGD(params, lr=0.05)

    weights, _ = train(sg.clip.SPAM(), make=make)
    assert all(
        torch.equal(one, other)
        for one, other in zip(weights, by_hand(sg.clip.ClipByGlobalNorm(1e9), make=make), strict=True)
    )
    assert capfd.readouterr().err.count("an error inside steadygrad (ValueError: SGD keeps no second moments") == 1


def test_a_lowered_rate_is_put_back_at_once_when_the_step_raises():
    class Fails(torch.optim.SGD):
        def step(self, closure=None):
            seen.append(self.param_groups[0]["lr"])
            raise RuntimeError("out of memory")

    seen = []
    model = nn.Linear(3, 1)
    optimizer = Fails(model.parameters(), lr=0.3)
    with sg.watch(model, optimizer, record=False) as watch:
        model(torch.ones(2, 3)).sum().backward()
        with pytest.raises(RuntimeError, match="out of memory"):
            optimizer.step()
        session = next(iter(watch._watcher.trainings))
        session.recovery.escalation.ladder.down("a test", 0.3)
        with pytest.raises(RuntimeError, match="out of memory"):
            optimizer.step()
        assert seen[0] == 0.3
        assert seen[1] < 0.15
        assert optimizer.param_groups[0]["lr"] == 0.3, "a scheduler would compute from it"
