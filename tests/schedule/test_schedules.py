"""Warm-up and warm-up-stable-decay: their rates, groups, checkpoints, and beside other schedulers."""

import copy
import math

import pytest
import torch
from torch.optim.lr_scheduler import ExponentialLR, LRScheduler, SequentialLR

import steadygrad as sg
from steadygrad.schedule import warmup, warmup_stable_decay


def optimizer_of(*rates):
    return torch.optim.SGD([{"params": [torch.zeros(2, requires_grad=True)], "lr": rate} for rate in rates])


def rates_of(optimizer, schedulers, steps):
    rates = []
    for _ in range(steps):
        rates.append([group["lr"] for group in optimizer.param_groups])
        optimizer.step()
        for scheduler in schedulers:
            scheduler.step()
    return torch.tensor(rates)


def wsd(t, warmup, stable, decay, kind, final):
    if t < warmup:
        return (t + 1) / warmup
    s = min(max((t - warmup - stable) / decay, 0.0), 1.0)
    shape = {"linear": 1 - s, "cosine": (1 + math.cos(math.pi * s)) / 2, "1-sqrt": 1 - math.sqrt(s)}[kind]
    return final + (1 - final) * shape


SCHEDULES = {
    "linear": (lambda o: warmup(o, 10), lambda t: min((t + 1) / 10, 1)),
    "one step": (lambda o: warmup(o, 1), lambda t: 1.0),
    "inverse-sqrt": (
        lambda o: warmup(o, 10, "inverse-sqrt"),
        lambda t: min((t + 1) / 10, math.sqrt(10 / (t + 1))),
    ),
} | {
    f"wsd {kind} {final} after {first}": (
        lambda o, kind=kind, final=final, first=first: warmup_stable_decay(o, first, 12, 15, kind, final),
        lambda t, kind=kind, final=final, first=first: wsd(t, first, 12, 15, kind, final),
    )
    for kind in ("linear", "cosine", "1-sqrt")
    for final in (0.0, 0.1)
    for first in (0, 8)
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_rates_are_those_of_the_formula_for_every_group(name):
    make, formula = SCHEDULES[name]
    optimizer = optimizer_of(1.0, 0.03)
    scheduler = make(optimizer)
    assert isinstance(scheduler, LRScheduler)
    wanted = torch.tensor([[formula(t), 0.03 * formula(t)] for t in range(45)])
    assert torch.allclose(rates_of(optimizer, [scheduler], 45), wanted, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("name", SCHEDULES)
@pytest.mark.parametrize("at", [3, 9, 25])
def test_a_checkpoint_goes_on_where_it_was(name, at):
    make, _ = SCHEDULES[name]
    optimizer = optimizer_of(0.5)
    scheduler = make(optimizer)
    rates_of(optimizer, [scheduler], at)
    # What torch.save would keep.
    saved = copy.deepcopy((optimizer.state_dict(), scheduler.state_dict()))
    rest = rates_of(optimizer, [scheduler], 20)
    resumed = optimizer_of(0.5)
    again = make(resumed)
    resumed.load_state_dict(saved[0])
    again.load_state_dict(saved[1])
    assert torch.equal(rates_of(resumed, [again], 20), rest)


def test_a_checkpoint_carries_the_lengths_of_its_own_decay():
    optimizer = optimizer_of(1.0)
    scheduler = warmup_stable_decay(optimizer, 2, 4, 10, "linear")
    rates_of(optimizer, [scheduler], 8)
    resumed = optimizer_of(1.0)
    again = warmup_stable_decay(resumed, 2, 400, 99, "cosine", 0.5)
    resumed.load_state_dict(optimizer.state_dict())
    again.load_state_dict(copy.deepcopy(scheduler.state_dict()))
    assert torch.equal(rates_of(resumed, [again], 12), rates_of(optimizer, [scheduler], 12))


@pytest.mark.parametrize("name", SCHEDULES)
def test_other_schedulers_may_follow(name):
    make, formula = SCHEDULES[name]
    optimizer = optimizer_of(1.0)
    schedulers = [make(optimizer), ExponentialLR(optimizer, 0.95)]
    wanted = torch.tensor([[formula(t) * 0.95**t] for t in range(40)])
    assert torch.allclose(rates_of(optimizer, schedulers, 40), wanted, rtol=1e-5, atol=1e-9)


def test_a_warmup_may_be_the_first_part_of_a_sequence():
    optimizer = optimizer_of(1.0)
    sequence = SequentialLR(optimizer, [warmup(optimizer, 4), ExponentialLR(optimizer, 0.5)], [4])
    assert rates_of(optimizer, [sequence], 7).flatten().tolist() == pytest.approx([0.25, 0.5, 0.75, 1, 1, 0.5, 0.25])


def test_a_watched_training_sees_the_same_rates():
    torch.manual_seed(0)
    net = torch.nn.Linear(4, 1)
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    scheduler = warmup_stable_decay(optimizer, 5, 5, 10)
    x, rates = torch.randn(16, 4), []
    with sg.watch(net, optimizer, record=False):
        for _ in range(22):
            rates.append(optimizer.param_groups[0]["lr"])
            optimizer.zero_grad()
            net(x).square().mean().backward()
            optimizer.step()
            scheduler.step()
    assert rates == pytest.approx([0.01 * wsd(t, 5, 5, 10, "1-sqrt", 0.0) for t in range(22)], abs=1e-12)


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda o: warmup(o, 0), "steps is 0, expected at least 1"),
        (lambda o: warmup(o, 5, "cosine"), "kind is 'cosine', expected"),
        (lambda o: warmup_stable_decay(o, -1, 1, 1), "warmup, stable and decay are -1, 1 and 1"),
        (lambda o: warmup_stable_decay(o, 1, 1, 0), "expected at least 0, 0 and 1"),
        (lambda o: warmup_stable_decay(o, 1, 1, 1, "sqrt"), "kind is 'sqrt'"),
        (lambda o: warmup_stable_decay(o, 1, 1, 1, final=2.0), "final is 2.0"),
    ],
)
def test_bad_arguments_are_refused_and_leave_the_rate_alone(make, words):
    optimizer = optimizer_of(0.7)
    with pytest.raises(ValueError, match=words):
        make(optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.7
