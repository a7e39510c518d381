"""Policies of `steadygrad.clip` before each step of whatever trains."""

import pytest
import torch
from torch import nn

from steadygrad.clip import ClipByUpdateRMS, attach
from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

CLIP = "clip-global-norm"


def spiked(make=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9), clips=False):
    """Every tenth batch has targets that are a thousand times too large."""
    model = perceptron()
    optimizer = make(model.parameters())
    losses = []
    for step in range(80):
        x, y = rows()
        loss = (model(x) - (1000 * y if step % 10 == 5 else y)).square().mean()
        optimizer.zero_grad()
        loss.backward()
        if clips:
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        if step % 10 != 5:
            losses.append(float(loss.detach()))
    return losses


def test_rare_gradients_that_are_far_too_large():
    assert lost(bare(spiked))
    assert end(with_remedy(spiked, CLIP)) < 0.5


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
        lambda params: torch.optim.Adam(params, lr=1e-2),
        lambda params: torch.optim.AdamW(params, lr=1e-2, fused=True),
    ],
    ids=["momentum", "adam", "fused-adamw"],
)
def test_it_is_torchs_own_clip(make):
    wanted = bare(lambda: spiked(make, clips=True))
    assert with_remedy(lambda: spiked(make), CLIP) == pytest.approx(wanted, rel=1e-2)


def test_gradients_are_clipped_as_torch_clips_them():
    torch.manual_seed(0)
    grads = [torch.randn(3, 4) * 10, torch.randn(5)]
    params = [nn.Parameter(torch.zeros_like(grad)) for grad in grads]
    theirs = [nn.Parameter(torch.zeros_like(grad)) for grad in grads]
    with Applied([intervention_for(CLIP)]):
        optimizer = torch.optim.SGD(params, lr=1.0)
        for p, other, grad in zip(params, theirs, grads, strict=True):
            p.grad, other.grad = grad.clone(), grad.clone()
        optimizer.step()
    torch.nn.utils.clip_grad_norm_(theirs, 1.0)
    for p, other in zip(params, theirs, strict=True):
        assert torch.allclose(-p.detach(), other.grad, rtol=1e-5)


def test_the_norm_can_be_chosen():
    params = [nn.Parameter(torch.zeros(4))]
    with Applied([intervention_for(CLIP, max_norm=0.25)]):
        optimizer = torch.optim.SGD(params, lr=1.0)
        params[0].grad = torch.full((4,), 3.0)
        optimizer.step()
    assert params[0].detach().norm().item() == pytest.approx(0.25)


def test_a_small_gradient_is_left_alone():
    """To the last bit."""

    def training():
        model = perceptron()
        loss_of = lambda a, b: 1e-3 * (a - b).square().mean()  # noqa: E731
        return fitted(model, torch.optim.SGD(model.parameters(), lr=1.0), rows, 20, loss_of)

    assert with_remedy(training, CLIP) == bare(training)


@pytest.mark.parametrize("through", ["backward", "grad"])
def test_by_hand(through):
    def training():
        weights = [(torch.randn(4, 16) / 2).requires_grad_(), (torch.randn(16, 1) / 4).requires_grad_()]
        losses = []
        for step in range(80):
            x, y = rows()
            loss = (torch.relu(x @ weights[0]) @ weights[1] - (1000 * y if step % 10 == 5 else y)).square().mean()
            grads = torch.autograd.grad(loss, weights) if through == "grad" else loss.backward()
            with torch.no_grad():
                for p, grad in zip(weights, grads or [p.grad for p in weights], strict=True):
                    p -= 0.05 * grad
                    p.grad = None
            if step % 10 != 5:
                losses.append(float(loss.detach()))
        return losses

    assert lost(bare(training))
    assert end(with_remedy(training, CLIP)) < 0.5


def rare(make=lambda params: torch.optim.Adam(params, lr=0.2, betas=(0.0, 0.999))):
    """A feature that comes for the first time after 800 steps: Adam's second moment of its weight is zero by then."""
    model = nn.Linear(4, 1)
    with torch.no_grad():
        model.weight[0, 3] = 0.0
    optimizer = make(model.parameters())
    losses = []
    for step in range(900):
        x = torch.randn(8, 4)
        if step < 800:
            x[:, 3] = 0.0
        loss = (model(x) - x[:, :1] - 0.1 * x[:, 3:]).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses[800:]


@pytest.mark.parametrize("remedy", ["stable-adamw", "lower-beta2"])
def test_a_second_moment_that_lags_behind(remedy):
    thrown = max(bare(rare))
    assert thrown > 0.3, "thirty times the loss of a weight that has not moved at all"
    assert max(with_remedy(rare, remedy)) < 0.2 * thrown


def test_it_is_the_policy_of_that_name():
    """To the last bit."""

    def attached():
        model = perceptron()
        optimizer = torch.optim.AdamW(model.parameters(), lr=3e-2)
        attach(ClipByUpdateRMS(), optimizer)
        return fitted(model, optimizer, rows, 40)

    def plain():
        model = perceptron()
        return fitted(model, torch.optim.AdamW(model.parameters(), lr=3e-2), rows, 40)

    wanted = bare(attached)
    assert with_remedy(plain, "stable-adamw") == wanted
    assert bare(plain) != wanted


def test_without_second_moments_no_update_is_limited():
    def training():
        return rare(lambda params: torch.optim.SGD(params, lr=0.01))

    losses, applied = under(training, intervention_for("stable-adamw"))
    assert not applied.times
    assert losses == bare(training)
