"""A loss scale that a script has written itself, too large for float16."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import intervention_for

from .runs import bare, end, lost, rows, under, with_remedy

LOWER = "lower-loss-scale"


def by_hand(scale, grows=1.0, limit=None):
    """Float16 weights with float32 masters, as people wrote it before there was a scaler."""
    model = nn.Sequential(nn.Linear(4, 32), nn.ReLU(), nn.Linear(32, 1))
    masters = [param.detach().clone().requires_grad_() for param in model.parameters()]
    model.half()
    optimizer = torch.optim.SGD(masters, lr=0.05, momentum=0.9)
    losses = []
    for _ in range(100):
        x, y = rows()
        loss = (model(x.half()).float() - y).square().mean()
        model.zero_grad()
        (loss * scale).backward()
        for master, param in zip(masters, model.parameters(), strict=True):
            master.grad = param.grad.float() / scale
        if limit is not None:
            nn.utils.clip_grad_norm_(masters, limit)
        optimizer.step()
        with torch.no_grad():
            for master, param in zip(masters, model.parameters(), strict=True):
                param.copy_(master)
        losses.append(float(loss.detach()))
        scale *= grows
    return losses


def test_a_scale_that_is_too_large_from_the_start():
    assert lost(bare(lambda: by_hand(2.0**24)))
    assert end(with_remedy(lambda: by_hand(2.0**24), LOWER)) < 0.15


def test_a_scale_that_grows():
    assert lost(bare(lambda: by_hand(2.0**10, grows=2.0)))
    assert end(with_remedy(lambda: by_hand(2.0**10, grows=2.0), LOWER)) < 0.15


def test_steps_are_those_of_a_sound_scale():
    """Powers of two: to the last bit, the script's own clip included."""
    for limit in (None, 0.1):
        sound = bare(lambda limit=limit: by_hand(2.0**10, limit=limit))
        assert with_remedy(lambda limit=limit: by_hand(2.0**24, limit=limit), LOWER) == sound


def test_it_goes_down_until_gradients_fit():
    """A scale to begin with that is too large itself: 16 times less each time, and a step is lost each time."""
    losses = with_remedy(lambda: by_hand(2.0**24), LOWER, scale=2.0**22)
    assert all(map(torch.isfinite, torch.tensor(losses[8:])))


@pytest.mark.parametrize("factor", [1.0, 3.0, 0.25])
def test_a_loss_that_is_not_scaled_is_left_alone(factor):
    """And it is no trial of the remedy then."""

    def training():
        model = nn.Linear(4, 1)
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
        losses = []
        for _ in range(8):
            x, y = rows()
            loss = factor * (model(x) - y).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    losses, applied = under(training, intervention_for(LOWER))
    assert losses == bare(training)
    assert applied.times == 0
