"""Gradients that are cleared, unscaled, averaged."""

import pytest
import torch
from torch import nn

from steadygrad._tap import ClipTap
from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, fitted, lost, perceptron, rows, under, with_remedy

ZERO = "zero-grad-before-backward"
DIVIDE = "divide-loss-by-accumulation-steps"
UNSCALE = "unscale-before-clip"


def forgetful(clears=False, make=lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9)):
    model = perceptron()
    return fitted(model, make(model.parameters()), rows, 100, clears=clears)


def test_a_loop_that_never_clears():
    assert lost(bare(forgetful))
    assert end(with_remedy(forgetful, ZERO)) < 0.15


@pytest.mark.parametrize(
    "make",
    [
        lambda params: torch.optim.SGD(params, lr=0.05, momentum=0.9),
        lambda params: torch.optim.Adam(params, lr=1e-3),
        lambda params: torch.optim.AdamW(params, lr=1e-3),
    ],
    ids=["momentum", "adam", "adamw"],
)
def test_cleared_is_as_if_the_script_had_cleared_them(make):
    """To the last bit."""
    assert with_remedy(lambda: forgetful(make=make), ZERO) == bare(lambda: forgetful(clears=True, make=make))


def test_accumulation_goes_on():
    """Gradients are cleared after a step, not between the passes of one."""

    def training(clears):
        model = perceptron()
        optimizer = torch.optim.SGD(model.parameters(), lr=0.02)
        losses = []
        for step in range(24):
            x, y = rows()
            loss = (model(x) - y).square().mean()
            loss.backward()
            losses.append(float(loss.detach()))
            if step % 3 == 2:
                optimizer.step()
                if clears:
                    optimizer.zero_grad()
        return losses

    assert with_remedy(lambda: training(False), ZERO) == bare(lambda: training(True))


def by_hand(clears=False):
    weights = [(torch.randn(4, 16) / 2).requires_grad_(), (torch.randn(16, 1) / 4).requires_grad_()]
    losses = []
    for _ in range(120):
        x, y = rows()
        loss = (torch.relu(x @ weights[0]) @ weights[1] - y).square().mean()
        if clears:
            for p in weights:
                p.grad = None
        loss.backward()
        with torch.no_grad():
            for p in weights:
                p -= 0.1 * p.grad
        losses.append(float(loss.detach()))
    return losses


def test_a_loop_by_hand_that_never_clears():
    assert end(bare(by_hand)) > 1
    assert with_remedy(by_hand, ZERO) == bare(lambda: by_hand(clears=True))


def accumulating(divides=1, passes=16, lr=0.12):
    model = perceptron()
    optimizer = torch.optim.SGD(model.parameters(), lr=lr)
    losses = []
    for _ in range(40):
        for _ in range(passes):
            x, y = rows()
            loss = (model(x) - y).square().mean()
            (loss / divides).backward()
            losses.append(float(loss.detach()))
        optimizer.step()
        optimizer.zero_grad()
    return losses


def test_accumulated_losses_that_are_not_divided():
    assert lost(bare(accumulating))
    assert end(with_remedy(accumulating, DIVIDE, passes=16)) < 0.15


def test_divided_is_as_if_the_script_had_divided():
    wanted = bare(lambda: accumulating(16))
    assert with_remedy(accumulating, DIVIDE, passes=16) == pytest.approx(wanted, rel=1e-3)


def test_the_number_of_passes_is_seen_in_the_first_step():
    assert end(with_remedy(lambda: accumulating(passes=4), DIVIDE)) < 0.15


def test_one_pass_a_step_is_nothing_to_divide():
    losses, applied = under(lambda: accumulating(passes=1), intervention_for(DIVIDE))
    assert not applied.times
    assert losses == bare(lambda: accumulating(passes=1))


def clipped(unscales=False, optimizers=1, scale=2.0**14):
    """Clipping to 1 where gradients are multiplied by 2^14: what is left is a step of nothing."""
    models = [perceptron() for _ in range(optimizers)]
    several = [torch.optim.SGD(model.parameters(), lr=0.1) for model in models]
    scaler = torch.amp.GradScaler("cpu", init_scale=scale)
    losses = []
    for _ in range(60):
        x, y = rows()
        for model, optimizer in zip(models, several, strict=True):
            loss = (model(x) - y).square().mean()
            optimizer.zero_grad()
            scaler.scale(loss).backward()
            if unscales:
                scaler.unscale_(optimizer)
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            scaler.step(optimizer)
            losses.append(float(loss.detach()))
        scaler.update()
    return losses


@pytest.mark.parametrize("optimizers", [1, 2])
def test_clipping_scaled_gradients(optimizers):
    def training(unscales=False):
        return clipped(unscales, optimizers)

    stalls = bare(training)
    assert end(stalls) > 0.7 * stalls[0]
    losses = with_remedy(training, UNSCALE)
    assert end(losses) < 0.25
    assert losses == bare(lambda: training(True))


def test_a_script_that_unscales_is_left_alone():
    losses, applied = under(lambda: clipped(True), intervention_for(UNSCALE))
    assert not applied.times
    assert losses == bare(lambda: clipped(True))


def scaled_by_hand(limit, write):
    """A loss scale of the script's own, which it divides its update by, not its gradients before the clip."""
    model = perceptron()
    losses = []
    for _ in range(60):
        x, y = rows()
        loss = (model(x) - y).square().mean()
        model.zero_grad()
        write(loss).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), limit)
        with torch.no_grad():
            for param in model.parameters():
                param.sub_(param.grad / 2.0**14, alpha=0.1)
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize(
    "write",
    [
        lambda loss: loss * 2.0**14,
        lambda loss: 2**14 * loss,
        lambda loss: loss * torch.tensor(2.0**16) / 4,
        lambda loss: loss / 2.0**-14,
    ],
    ids=["times", "before", "tensor", "quotient"],
)
def test_a_loss_scale_that_a_script_has_written_itself(write):
    """A power of two: taken off and put back it is as if the limit had been multiplied, to the last bit."""
    stalls = bare(lambda: scaled_by_hand(1.0, write))
    assert end(stalls) > 0.7 * stalls[0]
    losses = with_remedy(lambda: scaled_by_hand(1.0, write), UNSCALE)
    assert end(losses) < 0.25
    assert losses == pytest.approx(bare(lambda: scaled_by_hand(2.0**14, write)), rel=1e-5)


def test_a_weight_of_a_loss_is_no_loss_scale():
    losses, applied = under(lambda: scaled_by_hand(1.0, lambda loss: loss * 1000.0), intervention_for(UNSCALE))
    assert not applied.times
    assert losses == bare(lambda: scaled_by_hand(1.0, lambda loss: loss * 1000.0))


def test_only_what_is_clipped_is_unscaled():
    """Gradients of another optimizer, as a GAN has them, are its own step's: unscaled now, they would be no later."""
    one, other = nn.Linear(2, 1), nn.Linear(1, 1)
    with Applied([intervention_for(UNSCALE)]):
        ours, theirs = torch.optim.SGD(one.parameters(), lr=0.1), torch.optim.SGD(other.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(other(one(torch.ones(1, 2))).sum()).backward()
        torch.nn.utils.clip_grad_norm_(one.parameters(), 1e9)
        scaler.step(ours)
        assert float(other.bias.grad) == 1024.0
        theirs.zero_grad()
        before = float(other.bias.detach())
        scaler.scale(other(torch.ones(1, 1)).sum()).backward()
        torch.nn.utils.clip_grad_norm_(other.parameters(), 1e9)
        scaler.step(theirs)
        scaler.update()
    assert before - float(other.bias.detach()) == pytest.approx(0.1)


class Unscaled:
    """What a tap of clips asks of one of scalers."""

    def multiplied(self):
        return False


def test_a_clip_that_a_watch_sees_already():
    """Several repairs of one run hear of each clip; parameters come as a generator, and are all clipped."""
    errors = []
    clips = ClipTap(Unscaled(), errors.append)
    held = torch.nn.utils.clip_grad_norm_
    clips.install()
    try:
        seen = [intervention_for(UNSCALE), intervention_for(UNSCALE)]
        several = [Applied([each], clips) for each in seen]
        for each in several:
            each.install()
        model = nn.Linear(2, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
        scaler.scale(model(torch.ones(1, 2)).sum()).backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.5)
        assert float(norm) == pytest.approx(3**0.5)
        assert float(model.bias.grad) == pytest.approx(0.5 / 3**0.5, rel=1e-4)
        assert [each.times for each in seen] == [1, 0], "the first has done it"
        assert clips.calls == 1
        assert clips.last[0] == 0.5
        several[0].remove()
        optimizer.zero_grad()
        scaler.update()
        scaler.scale(model(torch.ones(1, 2)).sum()).backward()
        torch.nn.utils.clip_grad_value_(parameters=model.parameters(), clip_value=0.25)
        assert float(model.bias.grad) == 0.25
        assert [each.times for each in seen] == [1, 1]
        several[1].remove()
        assert clips.before == clips.after == []
    finally:
        clips.remove()
    assert not errors
    assert torch.nn.utils.clip_grad_norm_ is held
