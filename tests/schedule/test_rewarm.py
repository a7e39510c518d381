"""The ramp beside a schedule: what each step is made with, what schedulers see, and a real incident."""

import pytest
import torch
from torch.optim.lr_scheduler import CosineAnnealingLR, ExponentialLR, OneCycleLR

import steadygrad as sg
from steadygrad.schedule import rewarm


def made_with(optimizer, weight, scheduler, steps):
    """The rate of each step, from how far it goes, and the rates between steps."""
    moved, between = [], []
    for _ in range(steps):
        before = weight.item()
        weight.grad = torch.ones_like(weight)
        optimizer.step()
        moved.append(before - weight.item())
        if scheduler is not None:
            scheduler.step()
        between.append(optimizer.param_groups[0]["lr"])
    return moved, between


def training(make=None, lr=1.0):
    weight = torch.zeros(1, dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=lr)
    return weight, optimizer, None if make is None else make(optimizer)


SCHEDULERS = [
    lambda o: ExponentialLR(o, 0.9),
    lambda o: CosineAnnealingLR(o, 60),
    lambda o: OneCycleLR(o, 1.0, 40),
]


@pytest.mark.parametrize("make", SCHEDULERS)
@pytest.mark.parametrize("kind", ["linear", "cosine"])
def test_each_step_is_the_schedules_times_the_ramp_and_the_schedule_sees_nothing(make, kind):
    weight, optimizer, scheduler = training(make)
    bare, seen_bare = made_with(optimizer, weight, scheduler, 30)
    weight, optimizer, scheduler = training(make)
    head, seen_head = made_with(optimizer, weight, scheduler, 5)
    ramp = rewarm(scheduler, 8, factor=0.2, kind=kind)
    tail, seen_tail = made_with(optimizer, weight, scheduler, 25)
    assert seen_head + seen_tail == seen_bare
    assert head == bare[:5]
    ratios = [got / wanted for got, wanted in zip(tail, bare[5:], strict=True)]
    x = torch.arange(8) / 8
    share = x if kind == "linear" else (1 - torch.cos(torch.pi * x)) / 2
    assert ratios[:8] == pytest.approx((0.2 + 0.8 * share).tolist(), rel=1e-6)
    assert ratios[8:] == pytest.approx([1.0] * 17, rel=1e-9)
    assert ramp.remaining == 0


def test_afterwards_nothing_of_it_is_left():
    weight, optimizer, _ = training()
    rewarm(optimizer, 2)
    assert len(optimizer._optimizer_step_pre_hooks) == 1
    made_with(optimizer, weight, None, 2)
    assert not optimizer._optimizer_step_pre_hooks
    assert not optimizer._optimizer_step_post_hooks


def test_it_may_be_started_again_in_the_middle_and_at_the_end():
    weight, optimizer, _ = training()
    first = rewarm(optimizer, 4, factor=0.5)
    moved, _ = made_with(optimizer, weight, None, 2)
    assert rewarm(optimizer, 2, factor=0.1) is first
    more, _ = made_with(optimizer, weight, None, 3)
    rewarm(optimizer, 1, factor=0.25)
    last, rates = made_with(optimizer, weight, None, 2)
    assert moved + more + last == pytest.approx([0.5, 0.625, 0.1, 0.55, 1.0, 0.25, 1.0])
    assert rates == [1.0, 1.0]


def test_every_group_and_tensor_rates():
    a, b = (torch.zeros(1, requires_grad=True) for _ in range(2))
    groups = [{"params": [a], "lr": torch.tensor(1.0)}, {"params": [b], "lr": torch.tensor(0.1)}]
    optimizer = torch.optim.Adam(groups, eps=0.0)
    rewarm(optimizer, 2, factor=0.5)
    a.grad = b.grad = torch.ones(1)
    optimizer.step()
    assert (a.item(), b.item()) == pytest.approx((-0.5, -0.05))
    assert [group["lr"].item() for group in optimizer.param_groups] == pytest.approx([1.0, 0.1])


def test_a_checkpoint_goes_on_where_it_was():
    weight, optimizer, _ = training()
    ramp = rewarm(optimizer, 6, factor=0.4, kind="cosine")
    made_with(optimizer, weight, None, 2)
    saved = ramp.state_dict()
    rest, _ = made_with(optimizer, weight, None, 6)
    weight, optimizer, _ = training()
    rewarm(optimizer, 1).load_state_dict(saved)
    again, _ = made_with(optimizer, weight, None, 6)
    assert again == pytest.approx(rest)


def test_it_can_be_stopped():
    weight, optimizer, _ = training()
    rewarm(optimizer, 10).stop()
    assert made_with(optimizer, weight, None, 1)[0] == [1.0]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"steps": 0}, "steps is 0"),
        ({"steps": 3, "factor": 0.0}, "factor is 0.0"),
        ({"steps": 3, "kind": "x"}, "kind is 'x'"),
    ],
)
def test_bad_arguments_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        rewarm(training()[1], **arguments)


def test_from_a_real_incident():
    """The example of docs/schedule.md: a batch with a NaN in the 30th step opens an incident, which starts the ramp."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(torch.nn.Linear(8, 32), torch.nn.Tanh(), torch.nn.Linear(32, 1))
    optimizer = torch.optim.AdamW(net.parameters(), lr=0.01)
    scheduler = CosineAnnealingLR(optimizer, 80)
    told, between, within = [], [], []

    def on_incident(incident):
        told.append((incident.step, incident.status))
        if incident.status == "open":
            rewarm(optimizer, 10, factor=0.1)

    def note(optimizer, args, kwargs):
        within.append(optimizer.param_groups[0]["lr"])

    x = torch.randn(64, 8)
    y = x.sum(1, keepdim=True)
    with sg.watch(net, optimizer, record=False, on_incident=on_incident):
        for step in range(80):
            data = x.clone()
            if step == 30:
                data[0, 0] = float("nan")
            optimizer.zero_grad()
            torch.nn.functional.mse_loss(net(data), y).backward()
            between.append(optimizer.param_groups[0]["lr"])
            hook = optimizer.register_step_pre_hook(note)
            optimizer.step()
            hook.remove()
            scheduler.step()
    assert told[0] == (30, "open")
    assert told[-1][1] == "recovered"
    bare = [0.01 * (1 + torch.cos(torch.tensor(torch.pi * t / 80, dtype=torch.float64)).item()) / 2 for t in range(80)]
    assert between == pytest.approx(bare, rel=1e-9)
    ratios = [a / b for a, b in zip(within, between, strict=True)]
    assert ratios[:30] == [1.0] * 30
    # The lost step is the first of the ramp: it is left out, and counted.
    assert ratios[31:40] == pytest.approx([0.1 + 0.09 * k for k in range(1, 10)])
    assert ratios[40:] == [1.0] * 40
    assert all(torch.isfinite(p).all() for p in net.parameters())
