"""Gradients that have grown are held to the norm from before, until they are as small again by themselves."""

import math
from collections import Counter
from contextlib import suppress

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import steadygrad as sg
from steadygrad.guard import Escalation, Guard, LossLevel, Measured, Raised, Ruling
from steadygrad.guard.held_norm import DOUBLES, LET_GO, Grown, HeldNorm

STEADY = {"lr_raised": 1.0, "lr_raised_now": 1.0}
GROWN = {"norm": 18.0, "grown": lambda: Grown(2.0, 9.0)}
NORMS = st.floats(1e-30, 1e30)


@given(st.floats(1e-20, 1e20), st.lists(NORMS, max_size=200))
def test_no_gradient_that_is_held_is_longer_than_the_norm_as_it_has_doubled_by_then(norm, seen):
    held = HeldNorm()
    held.hold(norm)
    for step, each in enumerate(seen):
        after = each * held.coefficient(each)
        if held.active:
            assert after <= norm * 2.0 ** (step / DOUBLES) * (1 + 1e-9)
            assert after <= each
        held.observe(each)


@given(st.lists(NORMS, max_size=50))
def test_what_is_not_held_is_left_alone(seen):
    held = HeldNorm()
    assert not any(held.observe(each) for each in seen)
    assert all(held.coefficient(each) == 1.0 for each in seen)


@pytest.mark.parametrize("norm", [math.inf, math.nan, 0.0])
def test_a_norm_that_nothing_can_be_scaled_to_is_left_as_it_is(norm):
    held = HeldNorm()
    held.hold(2.0)
    assert held.coefficient(norm) == 1.0


def test_it_lets_go_once_gradients_have_been_as_small_for_long():
    held = HeldNorm()
    held.hold(2.0)
    assert [held.observe(1.0) for _ in range(LET_GO)] == [False] * (LET_GO - 1) + [True]
    assert held.coefficient(50.0) == 1.0


def test_one_large_gradient_begins_that_anew():
    held = HeldNorm()
    held.hold(2.0)
    assert not any(held.observe(50.0 if step == LET_GO // 2 else 1.0) for step in range(LET_GO + LET_GO // 2))


def test_the_norm_that_is_held_doubles_slowly():
    held = HeldNorm()
    held.hold(2.0)
    for _ in range(DOUBLES):
        held.observe(1e6)
    assert held.coefficient(8.0) == pytest.approx(0.5)


def test_it_goes_on_from_what_was_kept():
    held, other = HeldNorm(), HeldNorm()
    held.hold(2.0)
    for _ in range(LET_GO - 1):
        held.observe(1.0)
    other.load_state_dict(held.state_dict())
    assert other.coefficient(50.0) == held.coefficient(50.0)
    assert other.observe(1.0) is held.observe(1.0) is True


def risen():
    """Losses that have come down, and are above their start by now."""
    level = LossLevel()
    for step in range(80):
        level.push(3.0 - step / 40)
    for _ in range(8):
        level.push(50.0)
    return level


def ordered(detector, **options):
    escalation = Escalation(0, **options)
    alarm = Ruling("", 1.0, (Raised(detector, STEADY),))
    orders = escalation.observe(0, alarm, risen(), "", can_roll_back=True, lr=0.1, **GROWN)
    return escalation, [order.action for order in orders]


def test_growth_is_held_in_place_of_a_lower_rate():
    escalation, actions = ordered("sustained-growth")
    assert actions == ["roll-back", "clip-growth"]
    assert escalation.held.coefficient(18.0) == pytest.approx(2.0 / 18.0, rel=0.01)
    assert escalation.incident.tried == ["clip-growth", "roll-back"]


def test_a_loss_that_has_gone_far_is_not_held_but_gone_back_from():
    assert ordered("loss-divergence")[1] == ["roll-back", "lower-lr"]


def test_the_second_time_the_rate_is_lowered():
    escalation, _ = ordered("sustained-growth")
    alarm = Ruling("", 1.0, (Raised("sustained-growth", STEADY),))
    orders = escalation.observe(1, alarm, risen(), "", can_roll_back=True, lr=0.1, **GROWN)
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]


def test_while_it_is_held_a_loss_that_no_weights_of_before_would_lower_is_no_reason_to_go_back():
    escalation, _ = ordered("sustained-growth")
    alarm = Ruling("", 1.0, (Raised("sustained-growth", STEADY),))
    assert escalation.observe(1, alarm, risen(), "", can_roll_back=True, lr=0.1, refuted=lambda: True, **GROWN) == []


@pytest.mark.parametrize(("grown", "actions"), [(Grown(2.0, 9.0), ["clip-growth"]), (None, ["lower-lr"])])
def test_what_is_clipped_on_and_on_is_held_before_the_rate_is_lowered(grown, actions):
    escalation = Escalation(0)
    clipped = Ruling("clip", 0.1, (Raised("sustained-clipping", {}),))
    orders = escalation.observe(
        0, clipped, risen(), "sustained-clipping", can_roll_back=False, lr=0.1, grown=lambda: grown
    )
    assert [order.action for order in orders] == actions


@pytest.mark.parametrize(("grown", "actions"), [(Grown(2.0, 9.0), ["roll-back", "clip-growth"]), (None, ["roll-back"])])
def test_gradients_that_had_grown_before_they_threw_the_weights_away_are_held(grown, actions):
    escalation = Escalation(0)
    thrown = Ruling("undo", 0.0, (Raised("update-spike", {"usual_over_it": 0.01}, late=1),))
    orders = escalation.observe(0, thrown, risen(), "", can_roll_back=True, lr=0.1, grown=lambda: grown)
    assert [order.action for order in orders] == actions


def test_where_gradients_are_a_policys_affair_the_rate_is_lowered():
    escalation, actions = ordered("sustained-growth", holds=False)
    assert actions == ["roll-back", "lower-lr"]
    assert not escalation.held.active


def test_its_end_is_told():
    escalation, _ = ordered("sustained-growth")
    told = [escalation.observe(step, Ruling(""), risen(), "", can_roll_back=False, norm=1.0) for step in range(LET_GO)]
    assert [order.action for order in told[-1]][-1:] == ["end-clip-growth"]


def test_what_was_put_right_is_held_no_more():
    escalation, _ = ordered("sustained-growth")
    escalation.repaired()
    assert not escalation.held.active


def grown_when_told(*, adapts=False, raised=1.0):
    """What is known at the first alarm about a loss that is multiplied by 6 % more at each step once it was learned."""
    guard = Guard()
    for step in range(400):
        factor = 1.06 ** max(0, step - 120)
        noise = 1.0 + 0.05 * math.sin(7.0 * step)
        measured = Measured(
            factor * noise, factor * (0.5 + 2.5 * 0.96**step), 10.0, adapts=adapts, lr=0.1 * raised ** (step > 120)
        )
        if any(alarm.detector == "sustained-growth" for alarm in guard.judge(measured).alarms):
            return guard.grown()
    raise AssertionError("no alarm")


def test_the_norm_from_before_is_that_at_which_the_loss_was_at_its_best():
    grown = grown_when_told()
    assert 0.9 < grown.before < 1.6
    assert grown.times > 4


def test_an_optimizer_that_divides_by_its_gradients_size_has_none():
    assert grown_when_told(adapts=True) is None


def test_where_the_rate_was_raised_it_is_lowered():
    assert grown_when_told(raised=3.0) is None


def multiplied(folder, clip):
    """The actions in a training whose loss is multiplied by 4 % more at each step, and how wrong its weights are."""
    torch.manual_seed(0)
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    truth = torch.randn(8, 1)
    with (
        sg.watch(model, optimizer, clip=clip, record=folder, snapshot_every=16) as watch,
        suppress(sg.TrainingDiverged),
    ):
        for step in range(420):
            x = torch.randn(32, 8)
            loss = (model(x) - x @ truth - 0.5 * torch.randn(32, 1)).square().mean() * 1.04 ** max(0, step - 120)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    run = sg.open_run(watch.run)
    actions = Counter(action.action for recording in run.recordings for action in recording.actions())
    return actions, float((model.weight.detach().T - truth).norm() / truth.norm())


def test_a_training_whose_loss_is_multiplied_ever_more_is_held_together(tmp_path):
    actions, wrong = multiplied(tmp_path / "runs", None)
    assert actions["clip-growth"] == 1, actions
    assert actions["stop"] == 0, actions
    assert wrong < 0.3


def test_with_a_clip_of_the_users_own_nothing_else_scales(tmp_path):
    actions, _ = multiplied(tmp_path / "runs", sg.clip.ClipByGlobalNorm(1e9))
    assert actions["clip-growth"] == 0, actions
    assert actions["lower-lr"] > 0, actions
