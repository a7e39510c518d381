"""What follows when leaving steps out does not help: back, back with a lower rate, further back, the end. Bounded."""

import copy
import json
import math
import random
from itertools import pairwise
from statistics import median

import pytest
import torch
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from torch import nn

from steadygrad._recorded import again
from steadygrad._snapshot import Room, TrainingParts
from steadygrad._watch.recovery import Recovery
from steadygrad.guard import Escalation, Guard, LossLevel, Raised, Ruling
from steadygrad.guard.escalation import (
    CALM,
    LOST_BEFORE_ROLLBACK,
    LOST_WINDOW,
    MOST_LOST,
    MOST_LOST_OF_WINDOW,
    MOST_ROLLBACKS,
    REPEAT,
    VERIFY,
)
from steadygrad.guard.ladder import MOST_RUNGS

LR = 0.1
MADE = Ruling("")
NAN_LOSS = Ruling("skip", 0.0, (Raised("nonfinite-loss", {}),))
THROWN = Ruling("undo", 0.0, (Raised("update-spike", {"update_ratio": 5.0}, late=1),))
DRIFT = Ruling("", 1.0, (Raised("loss-divergence", {"lr_raised": 1.0, "lr_raised_now": 1.0}),))
CLIPPED = Ruling("clip", 0.1, (Raised("gradient-spike", {}, late=2),))


class Run:
    """An escalation with a real level of the loss, driven as the watcher drives it."""

    def __init__(self, losses=(), *, can_roll_back=True, lr=LR, damaged=tuple, refuted=lambda: False):
        self.level, self.escalation = LossLevel(), Escalation(0)
        for loss in losses:
            self.level.push(loss)
        self.can_roll_back, self.lr, self.damaged, self.refuted = can_roll_back, lr, damaged, refuted
        self.step = 0
        self.orders = []

    def see(self, ruling, loss=None, going_on=""):
        """One step; returns what is ordered."""
        if loss is not None and not ruling.lost:
            self.level.push(loss)
        orders = self.escalation.observe(
            self.step,
            ruling,
            self.level,
            going_on,
            can_roll_back=self.can_roll_back,
            loss=loss,
            lr=self.lr,
            damaged=self.damaged,
            refuted=self.refuted,
        )
        self.orders += [(self.step, order.action) for order in orders]
        self.step += 1
        return orders

    def made(self, steps, loss=None, going_on=""):
        return [order for _ in range(steps) for order in self.see(MADE, loss, going_on)]

    def until(self, action, ruling=MADE, loss=None, most=1000):
        """Goes on until something is ordered; returns the number of steps and the orders of the last."""
        for count in range(1, most + 1):
            orders = self.see(ruling, loss)
            if any(order.action == action for order in orders):
                return count, orders
        raise AssertionError(f"no {action} within {most} steps")

    @property
    def incident(self):
        return self.escalation.incident

    def actions(self):
        return [action for _, action in self.orders]


def falling(steps=80, start=3.0, end=1.0):
    return [start + (end - start) * step / (steps - 1) for step in range(steps)]


# One bad step.


def test_without_an_alarm_nothing_follows():
    run = Run()
    assert run.made(500, 1.0) == []
    assert run.incident is None
    assert run.escalation.ended is None


def test_a_single_nan_is_an_incident_that_ends_after_eight_calm_steps():
    run = Run(falling())
    assert run.see(NAN_LOSS) == []
    assert (run.incident.step, run.incident.detector, run.incident.status) == (0, "nonfinite-loss", "open")
    assert run.made(CALM - 1, 1.0) == []
    (order,) = run.see(MADE, 1.0)
    assert order.action == "recovered"
    assert order.detail["since"] == 0
    assert order.detail["loss"] <= order.detail["limit"]
    assert run.incident is None
    assert run.escalation.ended.status == "recovered"
    assert run.made(500, 1.0) == [], "and nothing else follows"


def test_an_alarm_in_between_begins_the_calm_anew():
    run = Run(falling())
    run.see(NAN_LOSS)
    run.made(CALM - 1, 1.0)
    run.see(CLIPPED, 1.0)
    assert run.made(CALM - 1, 1.0) == []
    assert [order.action for order in run.see(MADE, 1.0)] == ["recovered"]


def test_it_does_not_end_while_something_goes_on():
    run = Run(falling(), lr=None)
    run.see(NAN_LOSS)
    assert run.made(30, 1.0, going_on="sustained-clipping") == []
    assert [order.action for order in run.see(MADE, 1.0)] == ["recovered"]


def test_an_incident_began_when_the_step_was_made_that_the_alarm_is_about():
    run = Run(falling())
    run.made(20, 1.0)
    run.see(CLIPPED, 1.0)
    assert run.incident.step == 20 - 2


def test_what_is_damaged_is_a_reason_to_go_back_at_once_and_is_asked_for_once():
    asked = []

    def damaged():
        asked.append(True)
        return ["conv.weight", "conv.bias", "a", "b"]

    run = Run(falling(), damaged=damaged)
    orders = run.see(NAN_LOSS)
    assert [order.action for order in orders] == ["roll-back"]
    assert "conv.weight" in orders[0].detail["reason"]
    run.see(NAN_LOSS)
    run.see(NAN_LOSS)
    assert len(asked) == 1
    run.made(1, 1.0)
    run.see(NAN_LOSS)
    assert len(asked) == 2, "at the first of some lost steps"


# Many lost steps.


def test_steps_lost_in_a_row_are_rolled_back_twice_and_then_it_stops():
    run = Run(falling())
    for _ in range(MOST_LOST):
        run.see(NAN_LOSS)
    first, second = LOST_BEFORE_ROLLBACK
    rolled = [step for step, action in run.orders if action == "roll-back"]
    assert rolled == [first - 1, second - 1]
    assert run.orders[-1] == (MOST_LOST - 1, "stop")
    assert run.actions().count("stop") == 1
    assert (second - 1, "lower-lr") in run.orders, "the second time with a lower rate"
    assert (first - 1, "lower-lr") not in run.orders
    assert run.escalation.ended.status == "stopped"


@pytest.mark.parametrize("lost", [1, 7, 8, 15, 16, 31])
def test_fewer_lost_than_it_takes_are_survived(lost):
    run = Run(falling())
    for _ in range(lost):
        run.see(NAN_LOSS)
    assert run.actions().count("roll-back") == sum(lost >= least for least in LOST_BEFORE_ROLLBACK)
    run.until("recovered", loss=1.0, most=200)
    assert "stop" not in run.actions()


def test_without_a_snapshot_it_stops_all_the_same():
    run = Run(falling(), can_roll_back=False)
    for _ in range(MOST_LOST):
        run.see(NAN_LOSS)
    assert run.orders == [(MOST_LOST - 1, "stop")]


def test_a_stop_says_what_happened_and_what_was_tried():
    run = Run(falling())
    run.made(5, 1.0)
    _, orders = run.until("stop", NAN_LOSS)
    detail = orders[-1].detail
    assert detail["since"] == 5
    assert detail["detector"] == "nonfinite-loss"
    assert detail["tried"] == ["roll-back", "roll-back", "lower-lr"]
    assert "32 steps in a row" in detail["reason"]


@pytest.mark.parametrize(
    ("lost", "made", "stops"), [(3, 1, True), (7, 1, True), (31, 1, True), (4, 1, True), (2, 1, False), (1, 1, False)]
)
def test_a_run_that_loses_three_of_four_steps_stops_even_if_never_many_in_a_row(lost, made, stops):
    run = Run(falling())
    for _ in range(6 * LOST_WINDOW // (lost + made)):
        for _ in range(lost):
            orders = run.see(NAN_LOSS)
            if any(order.action == "stop" for order in orders):
                assert stops
                assert run.step <= 2 * LOST_WINDOW
                assert lost >= LOST_BEFORE_ROLLBACK[0] or run.step >= MOST_LOST_OF_WINDOW
                return
        run.made(made, 1.0)
    assert not stops


def test_once_it_has_stopped_the_next_lost_step_stops_it_again():
    """Whoever catches the exception and goes on does not get another thirty-two."""
    run = Run(falling())
    run.until("stop", NAN_LOSS)
    assert [order.action for order in run.see(NAN_LOSS)] == ["stop"]


# Steps that have thrown the weights away.


def test_a_thrown_step_is_undone_by_going_back():
    run = Run(falling())
    run.made(10, 1.0)
    (order,) = run.see(THROWN)
    assert order.action == "roll-back"
    assert not order.detail["older"]
    assert run.incident.step == 9


def test_thrown_again_and_again_takes_every_rung_and_ends_within_the_budget():
    run = Run(falling())
    seen = []
    for _ in range(200):
        orders = run.see(THROWN)
        seen.append(orders)
        if any(order.action == "stop" for order in orders):
            break
        run.made(3, 1.0)
    actions = [[order.action for order in orders] for orders in seen]
    assert actions[0] == ["roll-back"]
    assert actions[1] == ["roll-back", "lower-lr"]
    back = [orders[0] for orders in seen if orders[0].action == "roll-back"]
    assert len(back) == MOST_ROLLBACKS
    assert [order.detail["older"] for order in back] == [False, False, True, True, True]
    assert actions[MOST_ROLLBACKS] == ["stop"]
    factors = [order.detail["factor"] for orders in seen for order in orders if order.action == "lower-lr"]
    assert factors == sorted(factors, reverse=True)
    assert len(set(factors)) == len(factors)


def test_with_nothing_to_go_back_to_the_rate_is_lowered_at_once():
    run = Run(falling(), can_roll_back=False)
    assert [order.action for order in run.see(THROWN)] == ["lower-lr"]


def test_a_rate_that_no_harmless_step_has_had_is_taken_down_by_as_much():
    ruling = Ruling("undo", 0.0, (Raised("update-spike", {"usual_over_it": 0.5, "lr_raised_now": 100.0}, late=1),))
    run = Run(falling())
    orders = run.see(ruling)
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]
    assert orders[1].detail["factor"] == pytest.approx(0.01)


def test_where_the_rate_cannot_be_lowered_it_goes_back_and_ends_all_the_same():
    run = Run(falling(), lr=None)
    for _ in range(MOST_ROLLBACKS):
        assert [order.action for order in run.see(THROWN)] == ["roll-back"]
        run.made(3, 1.0)
    assert [order.action for order in run.see(THROWN)] == ["stop"]


# Whether it is over.


def own_limit(losses, first):
    """The highest level that counts as back, in this file's own words."""
    steps = [after - before for before, after in pairwise(losses[-64:])]
    middle = median(steps)
    noise = median(abs(step - middle) for step in steps)
    level = median(losses[-8:])
    return level + max(0.1 * max(0.0, first - level), 3 * noise)


def noisy(steps, start, end, spread, seed=0):
    generator = random.Random(seed)
    return [loss + generator.gauss(0, spread) for loss in falling(steps, start, end)]


STREAMS = {
    "progress decides": noisy(200, 5.0, 1.0, 0.001),
    "noise decides": noisy(200, 1.01, 1.0, 0.05),
    "negative": noisy(200, -1.0, -50.0, 0.1),
    "through zero": noisy(200, 2.0, -2.0, 0.01),
    "tiny": noisy(200, 5e-9, 1e-9, 1e-11),
    "huge": noisy(200, 5e9, 1e9, 1e7),
}


@pytest.mark.parametrize("name", STREAMS)
def test_back_is_a_tenth_of_the_progress_or_three_deviations_above_the_level_before(name):
    losses = STREAMS[name]
    limit = own_limit(losses, losses[0])
    gap = limit - median(losses[-8:])
    for share, back in ((0.9, True), (1.1, False)):
        run = Run(losses)
        run.see(NAN_LOSS)
        assert run.incident.limit == pytest.approx(limit, rel=1e-9)
        run.made(CALM, median(losses[-8:]) + share * gap)
        assert (run.incident is None) is back, (name, share)
        assert ("recovered" in run.actions()) is back


def test_eight_losses_decide_and_not_one():
    run = Run(falling())
    run.see(NAN_LOSS)
    for loss in (1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 9.0, 9.0):
        run.see(MADE, loss)
    assert run.actions() == ["recovered"]


def test_a_loss_that_is_not_known_cannot_be_above_anything():
    run = Run()
    run.see(NAN_LOSS)
    assert run.incident.limit is None
    assert run.made(CALM - 1) == []
    (order,) = run.see(MADE)
    assert order.action == "recovered"
    assert order.detail["loss"] is None


@pytest.mark.parametrize(("first", "limit"), [(2.0, 2.2), (-2.0, -1.8), (0.0, 0.0), (1e-9, 1.1e-9)])
def test_with_few_losses_the_first_one_says_what_is_back(first, limit):
    run = Run([first] * 3)
    run.see(NAN_LOSS)
    assert run.incident.limit == pytest.approx(limit)


def test_a_loss_that_does_not_come_back_takes_the_rungs_one_by_one_and_then_stops():
    run = Run(falling())
    run.see(NAN_LOSS)
    waits = []
    for rollbacks in range(1, MOST_ROLLBACKS + 1):
        # Each is of another height: otherwise going back would have made no difference.
        count, orders = run.until("roll-back", loss=6.0 * 3.0 ** (MOST_ROLLBACKS - rollbacks))
        waits.append(count)
        assert (orders[1:] != []) is (rollbacks > 1), "with a lower rate from the second on"
    assert all(abs(wait - VERIFY) <= CALM for wait in waits)
    assert run.until("stop", loss=4.0)[0] <= VERIFY
    assert run.escalation.ended.rollbacks == MOST_ROLLBACKS


def test_a_loss_that_stays_where_it_is_whatever_is_done_is_accepted():
    """Below where the run began it is another level (a harder task), and from then on the level to go by."""
    run = Run(falling())
    run.see(NAN_LOSS)
    _, orders = run.until("roll-back", loss=2.0)
    _, orders = run.until("give-up", loss=2.0)
    assert orders[0].detail["loss"] == 2.0
    assert run.escalation.ended.status == "unresolved"
    assert run.level.best == 2.0, "rebased"
    assert run.made(REPEAT + 1, 2.0) == []
    run.see(NAN_LOSS)
    assert run.incident.rollbacks == 0
    run.made(CALM, 2.0)
    assert run.actions()[-1] == "recovered", "the new level is no reason to be in doubt any more"


def lowered_for_nothing():
    """Steps that threw the weights away, twice: the rate is low, and the loss stays where it is."""
    run = Run(falling())
    run.see(THROWN)
    run.made(3, 2.0)
    run.see(THROWN)
    run.until("roll-back", loss=2.0)
    assert run.escalation.ladder.lowered
    return run


def test_a_rate_that_was_lowered_for_nothing_is_given_back():
    run = lowered_for_nothing()
    _, orders = run.until("give-up", loss=2.0)
    assert [order.action for order in orders] == ["give-up", "return-lr"]
    assert run.escalation.ladder.factor(LR) == 1.0


def test_a_rate_that_was_given_back_for_nothing_stays_down_the_next_time():
    """The weights were thrown away again as soon as it was there: it did make a difference."""
    run = lowered_for_nothing()
    run.until("give-up", loss=2.0)
    run.made(3, 2.0)
    run.see(THROWN)
    assert run.escalation.ladder.lowered
    _, orders = run.until("give-up", loss=4.0)
    assert "return-lr" not in [order.action for order in orders]
    assert run.escalation.ladder.lowered


def test_nothing_to_go_back_to_below_the_start_is_given_up_and_above_it_stopped():
    for loss, end in ((2.0, "give-up"), (30.0, "stop")):
        run = Run(falling(), can_roll_back=False)
        run.see(NAN_LOSS)
        count, _ = run.until(end, loss=loss)
        assert abs(count - VERIFY) <= 1
        assert run.actions() == [end]


# The same again.


@pytest.mark.parametrize(("pause", "same"), [(1, True), (REPEAT - 1, True), (REPEAT, False), (300, False)])
def test_the_same_again_soon_after_goes_on_where_it_had_come_to(pause, same):
    run = Run(falling())
    run.see(THROWN)
    run.until("recovered", loss=1.0)
    run.made(pause, 1.0)
    orders = run.see(THROWN)
    assert run.incident.rollbacks == (2 if same else 1)
    assert run.incident.step == (-1 if same else run.step - 2)
    assert [order.action for order in orders] == (["roll-back", "lower-lr"] if same else ["roll-back"])
    assert run.incident.status == "open"


def test_an_incident_that_needed_nothing_is_not_gone_on_with():
    run = Run(falling())
    run.see(NAN_LOSS)
    run.until("recovered", loss=1.0)
    run.made(5, 1.0)
    at = run.step
    run.see(NAN_LOSS)
    assert run.incident.step == at


def test_the_budget_is_one_for_all_repetitions():
    run = Run(falling())
    for _ in range(MOST_ROLLBACKS):
        assert run.see(THROWN)[0].action == "roll-back"
        run.until("recovered", loss=1.0)
        run.made(10, 1.0)
    assert [order.action for order in run.see(THROWN)] == ["stop"]


# Drifts.


def test_a_drift_above_the_start_goes_back_with_a_lower_rate():
    run = Run([*falling(), *[50.0] * 8])
    assert [order.action for order in run.see(DRIFT, 50.0)] == ["roll-back", "lower-lr"]


def test_a_drift_below_the_start_is_only_watched_at_first():
    run = Run([*falling(), *[2.0] * 8])
    assert run.see(DRIFT, 2.0) == []
    assert run.incident.limit == pytest.approx(1.0 + 0.1 * 2.0, abs=0.2), "what counts as back is the best level"


def test_a_drift_under_a_raised_rate_goes_back_and_takes_the_rate_down_if_it_still_is():
    for now, actions in ((10.0, ["roll-back", "lower-lr"]), (1.0, ["roll-back"])):
        ruling = Ruling("", 1.0, (Raised("loss-divergence", {"lr_raised": 10.0, "lr_raised_now": now}),))
        run = Run([*falling(), *[2.0] * 8])
        orders = run.see(ruling, 2.0)
        assert [order.action for order in orders] == actions
        if now > 1:
            assert orders[1].detail["factor"] == pytest.approx(1 / now)


def test_a_state_that_was_no_better_is_not_gone_back_to_for_a_drift():
    run = Run([*falling(), *[50.0] * 8])
    run.level.push(50.0)
    orders = run.escalation.observe(0, DRIFT, run.level, "", can_roll_back=True, better_before=False, lr=LR)
    assert [order.action for order in orders] == ["lower-lr"]


def test_a_drift_that_was_explained_goes_back_to_the_rate_that_was_seen_to_be_harmless():
    """Also where the losses are so wild that their level says nothing."""
    wild = [5.0, *[5.0, 400.0, 30.0, 900.0] * 10]
    told = {"cause": "learning-rate", "stable_factor": 0.1}
    run = Run(wild)
    assert not run.level.above_start()
    orders = run.see(Ruling("", 1.0, (Raised("loss-divergence", told, late=40),)), 300.0)
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]
    assert orders[1].detail["factor"] == pytest.approx(0.1)
    run = Run(wild)
    orders = run.see(Ruling("", 1.0, (Raised("loss-divergence", {"cause": "loss-scale"}),)), 300.0)
    assert [order.detail.get("factor") for order in orders] == [None, 0.5]


def test_weights_that_were_seen_to_do_better_are_gone_back_to_whatever_the_level_says():
    run = Run([*falling(), *[2.0] * 8])
    assert not run.level.above_start()
    told = {"loss": 2.0, "loss_then": 1.0, "weights_of": 64}
    orders = run.see(Ruling("", 1.0, (Raised("loss-divergence", told, late=20),)), 2.0)
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]
    assert again(orders[0].detail["reason"]) == "the weights of step 64 do better on the batches of now"
    assert orders[1].detail["factor"] == 0.5


@pytest.mark.parametrize("loss", [2.5, 9.0])
def test_where_no_weights_of_before_do_better_it_is_the_task_and_nothing_is_gone_back_to(loss):
    """Above the start too: there a run would be stopped whose weights are to blame."""
    asked = []

    def refuted():
        asked.append(run.step)
        return True

    run = Run(falling(), refuted=refuted)
    run.made(100, loss, going_on="sustained-clipping")
    run.see(Ruling("clip", 0.1, (Raised("sustained-clipping", {}),)))
    run.made(VERIFY + 8, loss)
    assert "roll-back" not in run.actions()
    assert "stop" not in run.actions()
    assert run.actions()[-2:] == ["give-up", "return-lr"]
    expected = 1 if loss < falling()[0] else 2
    assert len(asked) == expected, "it is asked when the loss is above its start, or has not come back in time"
    assert run.incident is None


def test_what_is_clipped_again_and_again_while_the_loss_rises_above_its_start_is_gone_back_from_at_once():
    """An optimizer that divides by the gradient's size goes as far with what is left of it: nothing is held."""
    run = Run(falling())
    run.made(CALM, 9.0)
    orders = run.see(Ruling("clip", 0.1, (Raised("sustained-clipping", {}),)), 9.0, "sustained-clipping")
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]
    below = Run(falling())
    below.made(CALM, 0.9 * falling()[0])
    orders = below.see(Ruling("clip", 0.1, (Raised("sustained-clipping", {}),)), 0.9, "sustained-clipping")
    assert [order.action for order in orders] == ["lower-lr"], "below it there is time to see what a lower rate does"


@pytest.mark.parametrize(("reach", "factor"), [(6.0, 0.05), (0.9, 0.5)])
def test_a_run_whose_first_steps_are_longer_than_its_weights_goes_back_with_a_rate_that_they_bear(reach, factor):
    """Next to no step has been accepted, so nothing is known of the noise: a loss at more than twice its start tells."""
    run = Run([1.0, 1.1])
    spike = Raised("update-spike", {"update_ratio": reach})
    for loss in (1.0, 1.5, 2.0, 3.0, 4.0, 3.0, 5.0, 4.0, 6.0):
        run.escalation.observe(
            run.step, Ruling("clip", 0.3 / reach, (spike,)), run.level, "", can_roll_back=True, loss=loss, lr=LR
        )
        run.step += 1
    on_and_on = Ruling("clip", 0.3 / reach, (Raised("sustained-clipping", {"update_ratio": 100 * reach}),))
    orders = run.escalation.observe(
        run.step, on_and_on, run.level, "sustained-clipping", can_roll_back=True, loss=6.0, lr=LR
    )
    assert [order.action for order in orders] == ["roll-back", "lower-lr"]
    assert orders[1].detail["factor"] == pytest.approx(factor)


def test_what_was_not_gone_back_from_has_not_shown_that_going_back_makes_no_difference():
    """A rate that was lowered alone has its time: it is not given back after eight steps."""
    run = Run(falling())
    run.see(CLIPPED, 9.0)
    run.until("roll-back", loss=9.0)
    run.until("recovered", loss=falling()[-1])
    run.see(DRIFT, 2.0)  # the same incident goes on: explained by nothing, so nothing is gone back to
    orders = run.made(CALM + 4, 2.0, going_on="sustained-growth")
    assert [order.action for order in orders] == ["lower-lr"]


def test_what_an_earlier_rollback_has_brought_says_nothing_of_a_new_incident():
    """The loss is as high as before that one: no rollback of this incident has shown that it makes no difference."""
    run = Run(falling())
    run.see(CLIPPED, 9.0)
    run.until("roll-back", loss=9.0)
    run.until("recovered", loss=1.0)
    run.made(REPEAT + CALM, 1.0)
    run.see(CLIPPED, 8.9)
    assert run.made(CALM + 4, 8.9) == []
    assert run.incident is not None


def test_a_rate_with_which_going_back_has_helped_is_not_given_back_because_the_next_time_it_does_not():
    """From 9 to 2.5 was something, although the loss had been at 1: what threw it away is not to come again."""
    run = Run(falling())
    run.see(DRIFT, 9.0)
    run.made(CALM, 9.0, going_on="loss-divergence")
    run.until("roll-back", loss=9.0)
    run.until("lower-lr", loss=2.5)
    run.until("give-up", loss=2.5)
    assert run.incident is None
    assert "return-lr" not in run.actions()
    stubborn = Run(falling())
    stubborn.see(DRIFT, 9.0)
    stubborn.made(CALM, 9.0, going_on="loss-divergence")
    stubborn.until("roll-back", loss=9.0)
    stubborn.until("give-up", loss=9.0)
    assert "return-lr" in stubborn.actions(), "where nothing has helped it is the task"


def test_it_is_known_before_a_decision_that_one_is_due():
    run = Run(falling())
    assert not run.escalation.verifies_soon
    run.see(Ruling("clip", 0.1, (Raised("gradient-spike", {}),)))
    soon = []
    while "roll-back" not in run.actions():
        run.see(MADE, 9.0)
        soon.append(run.escalation.verifies_soon)
    assert soon[-3:-1] == [True, True]
    assert not any(soon[:-4])


def test_the_ladder_goes_down_while_something_goes_on():
    run = Run(falling())
    orders = run.made(100, 1.0, going_on="sustained-clipping")
    assert [order.action for order in orders] == ["lower-lr", "lower-lr"]
    assert [order.detail["factor"] for order in orders] == [0.5, 0.25]


# Whatever comes.


alarms = st.sampled_from(
    [
        Raised("nonfinite-loss", {}),
        Raised("nonfinite-gradient", {"grad_norm": math.nan}),
        Raised("update-spike", {"usual_over_it": 0.01, "lr_raised_now": 1.0}, late=1),
        Raised("update-spike", {"usual_over_it": 0.9, "lr_raised_now": 50.0}, late=1),
        Raised("gradient-spike", {"grad_norm": 1e9}, late=2),
        Raised("loss-divergence", {"lr_raised": 1.0, "lr_raised_now": 1.0}, late=24),
        Raised("loss-divergence", {"lr_raised": 20.0, "lr_raised_now": 20.0}, late=16),
        Raised("loss-divergence", {"cause": "learning-rate", "stable_factor": 0.01}, late=31),
        Raised("loss-divergence", {"loss": 9.0, "loss_then": 1.0, "weights_of": 48}, late=3),
        Raised("sustained-growth", {"lr_raised": 1.0, "lr_raised_now": 1.0}, late=8),
        Raised("sustained-clipping", {}),
    ]
)
lost = st.builds(
    lambda action, raised: Ruling(action, 0.0, (raised,)), st.sampled_from(["skip", "hold", "undo"]), alarms
)
made = st.one_of(
    st.just(MADE), st.just(Ruling("clip", 0.5)), st.builds(lambda raised: Ruling("", 1.0, (raised,)), alarms)
)
losses = st.one_of(
    st.none(), st.floats(-5, 50), st.sampled_from([1.0, 2.0, 3.0, 1e12, -1e12, 1e-9]), st.floats(0.9, 1.1)
)
events = st.tuples(
    st.one_of(made, lost, st.just(MADE), st.just(NAN_LOSS), st.just(THROWN)),
    losses,
    st.sampled_from(["", "", "", "sustained-clipping"]),
    st.sampled_from([True, True, False]),  # whether it can roll back
    st.sampled_from([True, True, False]),  # whether it was better before
    st.sampled_from([LR, LR, 10 * LR, 0.0, None]),
    st.sampled_from([(), (), ("weight",)]),
    st.integers(1, 60),  # how often
)
sequences = st.lists(events, min_size=1, max_size=25)


def see(escalation, level, step, event):
    ruling, loss, going_on, can_roll_back, better, lr, damaged, _ = event
    if loss is not None and not ruling.lost:
        level.push(loss)
    return escalation.observe(
        step,
        ruling,
        level,
        going_on,
        can_roll_back=can_roll_back,
        better_before=better,
        loss=loss,
        lr=lr,
        damaged=lambda: damaged,
    )


@settings(max_examples=250, deadline=None)
@given(sequences)
def test_whatever_comes_it_is_bounded(sequence):
    escalation, level = Escalation(0), LossLevel()
    step = lost_in_a_row = 0
    window = []
    for event in sequence:
        for _ in range(event[-1]):
            before = copy.deepcopy(escalation.incident)
            orders = see(escalation, level, step, event)
            step += 1
            actions = [order.action for order in orders]
            lost_in_a_row = lost_in_a_row + 1 if event[0].lost else 0
            window = [*window[-127:], event[0].lost]
            assert lost_in_a_row < MOST_LOST or "stop" in actions
            assert actions.count("stop") <= 1
            assert actions.count("roll-back") <= 1
            assert "stop" not in actions or actions == ["stop"], "nothing is done beside the end"
            assert "roll-back" not in actions or event[3], "only where it can"
            for incident in (escalation.incident, escalation.ended):
                if incident is not None:
                    assert incident.rollbacks <= MOST_ROLLBACKS
                    # Reasons to lower the rate are bounded by the ladder's own budget, in the whole run.
                    assert incident.tried.count("lower-lr") <= MOST_RUNGS
            if "roll-back" in actions:
                open_one = escalation.incident
                assert open_one is not None
                known = before.rollbacks if before is not None else open_one.rollbacks - 1
                assert open_one.rollbacks == known + 1
            if {"recovered", "give-up", "stop"} & set(actions):
                assert escalation.incident is None
                assert escalation.ended.status in {"recovered", "unresolved", "stopped"}
            elif event[0].alarms:
                assert escalation.incident is not None
                assert escalation.incident.status == "open"
            factor = escalation.ladder.factor(LR)
            assert 0.0 < factor <= 1.0
            for order in orders:
                json.dumps(dict(order.detail))
                assert order.action in {"lower-lr", "return-lr", "roll-back", "stop", "recovered", "give-up"}
            if "stop" in actions:
                return
            assert sum(window) < MOST_LOST_OF_WINDOW


@settings(max_examples=150, deadline=None, derandomize=True, phases=[Phase.generate])
@given(sequences, sequences)
def test_what_it_knows_can_be_kept_at_any_point_and_gone_on_from(first, second):
    escalation, level, step = Escalation(0), LossLevel(), 0
    for event in first:
        for _ in range(event[-1]):
            see(escalation, level, step, event)
            step += 1
    state = {"escalation": escalation.state_dict(), "level": level.state_dict()}
    written = json.dumps(state)  # plain data, as it is kept in a checkpoint
    other, other_level = Escalation(0), LossLevel()
    read = json.loads(written)
    other.load_state_dict(read["escalation"])
    other_level.load_state_dict(read["level"])
    assert json.dumps({"escalation": other.state_dict(), "level": other_level.state_dict()}) == written
    for event in second:
        for _ in range(min(event[-1], 30)):
            # As text: NaN is not equal to itself.
            assert repr(see(escalation, level, step, event)) == repr(see(other, other_level, step, event))
            assert repr((escalation.incident, escalation.ended)) == repr((other.incident, other.ended))
            step += 1
    assert json.dumps(state) == written, "and what was kept does not change with it"


def test_the_level_that_counts_as_back_is_known_after_going_on():
    run, other = Run(falling()), Run(falling())
    run.see(NAN_LOSS)
    run.made(CALM - 1, 9.0)
    other.escalation.load_state_dict(run.escalation.state_dict())
    assert run.see(MADE, 9.0) == [], "far above the limit"
    assert other.see(MADE, 9.0) == []


def test_a_state_that_was_gone_on_from_stays_as_it_was():
    run = Run(falling())
    run.see(THROWN)
    state = run.escalation.state_dict()
    written = json.dumps(state)
    run.escalation.load_state_dict(state)
    run.see(THROWN)
    assert json.dumps(state) == written


def test_steps_that_are_lost_without_a_word_are_bounded_too():
    """A burst at a line search is lost whole, and its alarm waits: `_as_carried_out` makes a skip of a clip."""
    run = Run(falling())
    run.until("stop", Ruling("skip", 0.0), most=10 * MOST_LOST)


def test_an_alarm_about_earlier_steps_within_an_incident_takes_the_trust_from_what_was_taken_since():
    weight = nn.Parameter(torch.zeros(4))
    optimizer = torch.optim.SGD([weight], lr=LR)
    parts, names = TrainingParts([weight], optimizer), ["weight"]
    recovery = Recovery(
        0,
        optimizer,
        Guard(),
        room=Room(10**6),
        every=None,
        alone=False,
        holds=True,
        for_good=False,
        say=lambda line: None,
    )
    recovery.begin(0, parts, names)
    for step in range(100):
        recovery.before(optimizer)
        recovery.ruled(step, MADE, 1.0, parts, names)
        recovery.made(step + 1, optimizer, parts, names)
    assert recovery.ring.newest().step == 64
    recovery.ruled(100, NAN_LOSS, None, parts, names)
    assert recovery.ring.newest().step == 64
    # The loss has been drifting since step 61, three steps before that snapshot.
    recovery.ruled(101, Ruling("", 1.0, (Raised("loss-divergence", {}, late=40),)), 1.0, parts, names)
    assert recovery.ring.newest().step == 0
