"""Float32 in place of reduced precision."""

import pytest
import torch
from torch import nn

from steadygrad.interventions import Applied, intervention_for

from .runs import bare, end, lost, rows, with_remedy

FLOAT32 = "float32-for-this-layer"


def training(inside, enter=None):
    """A loss of which a part is computed in half precision, and overflows there."""

    def run():
        model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 1))
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        losses = []
        for _ in range(100):
            x, y = rows()
            if enter is None:
                loss = inside(model(x), y)
            else:
                with enter():
                    loss = inside(model(x), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(float(loss.detach()))
        return losses

    return run


def in_thousands(a, b, cast):
    return (cast(300.0 * (a - b)).square().mean() / 90_000).float()


@pytest.mark.parametrize(
    "cast",
    [
        lambda v: v.half(),
        lambda v: v.to(torch.float16),
        lambda v: v.to(dtype=torch.float16),
        lambda v: v.type(torch.float16),
        lambda v: torch.mul(v, torch.ones((), dtype=torch.float16)).to("cpu", torch.float16),
    ],
    ids=["half", "to", "keyword", "type", "device"],
)
def test_squares_beyond_half_precision(cast):
    run = training(lambda a, b: in_thousands(a, b, cast))
    assert lost(bare(run))
    assert end(with_remedy(run, FLOAT32)) < 0.2


@pytest.mark.parametrize(
    "enter",
    [
        lambda: torch.autocast("cpu", dtype=torch.float16),
        lambda: torch.amp.autocast("cpu", dtype=torch.float16),
        lambda: torch.autocast(device_type="cpu", dtype=torch.float16, enabled=True),
    ],
    ids=["autocast", "amp", "keywords"],
)
def test_autocast_is_off(enter):
    big, small = 500.0 * torch.ones(1, 1), torch.full((1, 1), 4e-6)

    def inside(a, b):
        return ((a - b).square() @ big @ big @ small).float().mean()  # on the way above 65,504

    run = training(inside, enter)
    assert lost(bare(run))
    assert end(with_remedy(run, FLOAT32)) < 0.2


def test_layers_made_half_are_float32():
    with Applied([intervention_for(FLOAT32)]):
        model = nn.Linear(2, 2).half()
        other = nn.Linear(2, 2, dtype=torch.bfloat16)
        assert torch.zeros(2, dtype=torch.float16).dtype == torch.float32
        assert torch.zeros(2).bfloat16().dtype == torch.float32
    assert {p.dtype for p in (*model.parameters(), *other.parameters())} == {torch.float32}


def test_other_dtypes_are_left_alone():
    applied = intervention_for(FLOAT32)
    with Applied([applied]):
        assert torch.ones(2).double().dtype == torch.float64
        assert torch.ones(2, dtype=torch.float64).to(torch.int64).dtype == torch.int64
        with torch.autocast("cpu", enabled=False):
            assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == torch.float32
    assert not applied.times


def test_as_a_decorator():
    @torch.autocast("cpu", dtype=torch.bfloat16)
    def product(a):
        return a @ a

    def make():
        return torch.autocast("cpu", dtype=torch.bfloat16)(lambda a: a @ a)

    a = torch.ones(2, 2)
    assert product(a).dtype == torch.bfloat16
    with Applied([intervention_for(FLOAT32)]):
        assert make()(a).dtype == torch.float32
    assert make()(a).dtype == torch.bfloat16
