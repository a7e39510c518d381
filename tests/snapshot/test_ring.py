"""The snapshots of an optimizer: within their memory, at their share of the time, and never from a time in doubt."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule
from torch import nn

from steadygrad._snapshot import Room, SnapshotRing, TrainingParts
from steadygrad._snapshot import ring as ring_module
from steadygrad._snapshot.ring import FIXED, LONGEST, MORE, QUARANTINE, SHORTEST, SLOTS

FLOATS = 100

SHARE = 0.0075
"""The part of the training time that is promised; not taken from the code, which may be wrong."""


class Counted:
    """A weight whose value is the number of steps made, so that a snapshot shows when it was really taken."""

    def __init__(self, floats=FLOATS, *, momentum=False):
        self.weight = nn.Parameter(torch.zeros(floats))
        self.optimizer = torch.optim.SGD([self.weight], lr=0.1, momentum=0.9 if momentum else 0.0)
        self.parts = TrainingParts([self.weight], self.optimizer)

    def at(self, step):
        with torch.no_grad():
            self.weight.fill_(step)
        return self.parts

    def make_state(self):
        """The optimizer's state comes with its first step, and with it the size of a snapshot doubles."""
        self.weight.grad = torch.zeros_like(self.weight)
        self.optimizer.step()

    def content(self, snapshot):
        snapshot.restore_(self.parts)
        return self.weight[0].item()


def snapshots(ring):
    return [s for s in (*ring._proven, ring._young, ring._spare) if s is not None]


def held_bytes(*rings):
    """Bytes of the tensors that the rings really hold, found by walking over them."""
    found = {}

    def walk(thing):
        if isinstance(thing, torch.Tensor):
            found[thing.data_ptr()] = thing.numel() * thing.element_size()
        elif isinstance(thing, dict):
            for each in thing.values():
                walk(each)
        elif isinstance(thing, (list, tuple)):
            for each in thing:
                walk(each)

    for snapshot in (each for ring in rings for each in snapshots(ring)):
        kept = snapshot._kept
        walk([kept.params, kept.optimizers, kept.buffers, kept.averages])
    return sum(found.values())


def drive(ring, training, steps, *, first=0):
    """Sound steps as the watcher makes them."""
    for step in range(first, first + steps):
        ring.sound(step)
        if ring.due(step):
            ring.take(step, training.at(step))


# Memory.


@settings(max_examples=25, deadline=None)
@given(
    limit=st.integers(0, 30), sizes=st.lists(st.integers(1, 40), min_size=1, max_size=4), grows=st.lists(st.booleans())
)
def test_rings_that_share_a_room_never_hold_more_than_it_has(limit, sizes, grows):
    room = Room(limit * 4 * 20)
    rings = [SnapshotRing(room, by_clock=False) for _ in sizes]
    trainings = [Counted(size, momentum=True) for size in sizes]
    for ring, training in zip(rings, trainings, strict=True):
        ring.take(0, training.at(0), proven=True)
        assert held_bytes(*rings) <= limit * 80
    for training, grow in itertools.zip_longest(trainings[: len(grows)], grows[: len(trainings)]):
        if grow:
            training.make_state()
    for step in range(1, 8 * FIXED, 8):
        for ring, training in zip(rings, trainings, strict=True):
            ring.sound(step)
            if ring.due(step):
                ring.take(step, training.at(step))
            assert held_bytes(*rings) <= limit * 80
            assert not ring.off or not snapshots(ring)


@pytest.mark.parametrize(("fit", "off"), [(1.9, True), (2.0, False), (3.0, False), (4.0, False)])
def test_with_room_for_fewer_than_two_it_is_off_and_says_so_once(fit, off):
    said = []
    training = Counted()
    ring = SnapshotRing(Room(int(fit * 4 * FLOATS)), by_clock=False, on_off=said.append)
    ring.take(0, training.at(0), proven=True)
    drive(ring, training, 500, first=1)
    assert ring.off is off
    assert len(said) == off
    assert (ring.newest() is None) is off
    assert len(snapshots(ring)) == 0 if off else 2 <= len(snapshots(ring)) <= fit
    if off:
        assert "snapshot_memory=" in said[0]
        assert not ring.due(10_000)


def test_it_goes_off_later_when_the_state_has_outgrown_the_room():
    said, training = [], Counted(momentum=True)
    room = Room(4 * FLOATS * 3)
    ring = SnapshotRing(room, by_clock=False, on_off=said.append)
    ring.take(0, training.at(0), proven=True)
    assert ring.newest() is not None
    training.make_state()
    drive(ring, training, 500, first=1)
    assert ring.off
    assert len(said) == 1
    assert snapshots(ring) == []
    assert room.grant(1, 10**9) == 4 * FLOATS * 3, "what it had is given back"


def test_no_memory_at_the_users_wish_is_no_news():
    said = []
    ring = SnapshotRing(Room(0), on_off=said.append)
    ring.take(0, Counted().parts, proven=True)
    assert ring.off
    assert said == []


def test_a_ring_for_which_others_have_left_nothing_says_so_too():
    said, trainings = [], [Counted(), Counted()]
    room = Room(SLOTS * 4 * FLOATS)
    rings = [SnapshotRing(room, by_clock=False, on_off=said.append) for _ in trainings]
    for ring, training in zip(rings, trainings, strict=True):
        ring.take(0, training.at(0), proven=True)
    assert rings[0].off is False
    assert not rings[1].off or len(said) == 1


def test_what_a_ring_had_is_free_again_when_it_is_closed():
    room, trainings = Room(SLOTS * 4 * FLOATS), [Counted(), Counted()]
    rings = [SnapshotRing(room, by_clock=False) for _ in trainings]  # both alive at once: no identity is used twice
    rings[0].take(0, trainings[0].at(0), proven=True)
    rings[0].close()
    rings[1].take(0, trainings[1].at(0), proven=True)
    assert not rings[1].off


def test_a_state_that_has_shrunk_does_not_make_the_old_copies_smaller():
    limit = SLOTS * 2 * 4 * FLOATS
    room, training, other = Room(limit), Counted(momentum=True), Counted(2 * FLOATS)
    ring, second = SnapshotRing(room, by_clock=False), SnapshotRing(room, by_clock=False)
    training.make_state()
    drive(ring, training, 6 * FIXED)
    training.optimizer.state.clear()  # as restarts of low-rank trainings do
    drive(ring, training, FIXED, first=6 * FIXED)
    second.take(0, other.at(0), proven=True)
    drive(second, other, 6 * FIXED, first=1)
    assert held_bytes(ring, second) <= limit


def test_a_history_that_grows_within_one_state_is_seen():
    """LBFGS keeps a hundred pairs of vectors in the state of its first parameter, and begins with none."""
    weight = nn.Parameter(torch.ones(50))
    optimizer = torch.optim.LBFGS([weight], lr=1e-3, max_iter=1, history_size=100)
    parts = TrainingParts([weight], optimizer)
    scales = torch.arange(1.0, 51.0)

    def closure():
        optimizer.zero_grad()
        loss = (scales * weight.square()).sum()
        loss.backward()
        return loss

    limit = 4 * 50 * 150
    ring = SnapshotRing(Room(limit), by_clock=False)
    ring.take(0, parts, proven=True)
    for step in range(1, 6 * FIXED):
        optimizer.step(closure)
        ring.sound(step)
        if ring.due(step) or step in {4, 8}:
            ring.take(step, parts)
            assert held_bytes(ring) <= limit


# Quarantine.


def test_a_young_one_is_not_used_before_sixteen_sound_steps_have_followed():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    ring.take(10, training.at(10))
    for step in range(11, 10 + QUARANTINE):
        ring.sound(step)
        assert ring.newest() is None, step
        assert not ring.due(step + 1000), "one at a time is in quarantine"
    ring.sound(10 + QUARANTINE)
    assert ring.newest().step == 10


@pytest.mark.parametrize("onset", [0, 1, 79, 80, 81, 96, 128, 143, 144, 145, 200, 204])
def test_an_incident_takes_the_trust_from_all_that_was_taken_shortly_before_it_or_since(onset):
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    ring.take(0, training.at(0), proven=True)
    drive(ring, training, 204, first=1)
    before = ring.steps
    assert before[-1] == 128, "the one of step 192 is in quarantine still"
    ring.distrust(onset)
    assert ring.steps == [step for step in before if step <= onset - QUARANTINE or step == 0]
    for step in range(205, 300):
        ring.sound(step)
    assert ring.steps == [step for step in before if step <= onset - QUARANTINE or step == 0], "the young one is gone"


@pytest.mark.parametrize("step", [0, 63, 64, 65, 127, 128, 1000])
def test_what_was_seen_to_be_sound_is_kept_with_all_that_is_older(step):
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    ring.take(0, training.at(0), proven=True)
    drive(ring, training, 204, first=1)
    before = ring.steps
    ring.drop_after(step)
    assert ring.steps == [each.step for each in ring.proven] == [each for each in before if each <= step]
    for later in range(205, 300):
        ring.sound(later)
    assert ring.steps == [each for each in before if each <= step], "the young one is gone"


def test_the_state_a_training_began_with_is_trusted_whatever_comes():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    ring.take(0, training.at(0), proven=True)
    ring.distrust(0)
    assert ring.newest().step == 0
    assert training.content(ring.newest()) == 0


def test_without_a_given_one_there_may_be_nothing_to_trust():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    drive(ring, training, 100)
    ring.distrust(0)
    assert ring.newest() is None
    assert ring.due(ring._next_at), "and a new one can be taken"


def test_dropping_the_newest_leaves_at_least_one():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    drive(ring, training, 10 * FIXED)
    steps = ring.steps
    assert len(steps) > 2
    for left in range(len(steps) - 1, 0, -1):
        ring.drop_newest()
        assert ring.steps == steps[:left]
    for _ in range(3):
        ring.drop_newest()
        assert ring.steps == steps[:1]
    assert training.content(ring.newest()) == steps[0]


def test_when_the_parameters_are_others_all_is_forgotten():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    drive(ring, training, 300)
    ring.clear()
    assert snapshots(ring) == []
    assert ring.newest() is None
    ring.take(301, Counted(7).at(301))
    ring.sound(301 + QUARANTINE)
    assert ring.newest().step == 301


# Ages and intervals.


def test_ages_of_those_that_are_kept_are_spread():
    ring, training = SnapshotRing(Room(10**6), by_clock=False), Counted()
    ring.take(0, training.at(0), proven=True)
    spreads = []
    for step in range(1, 30_000):
        ring.sound(step)
        if ring.due(step):
            ring.take(step, training.at(step))
        if step > 1_000 and step % 997 == 0:
            ages = [step - each for each in ring.steps]
            assert ages == sorted(ages, reverse=True)
            assert ages[-1] <= 2 * FIXED + QUARANTINE, "the newest is fresh"
            spreads.append(ages[0] / ages[-1])
    assert sorted(spreads)[len(spreads) // 2] > 4.0, "the oldest is several times as old as the newest"


class Clock:
    """Time that passes only when told."""

    def __init__(self):
        self.now = 100.0

    def own_seconds(self):
        return self.now


def simulate(monkeypatch, cost, step_time, steps):
    """A training by a clock of ours; returns the steps at which snapshots were taken, and the time of all of it."""
    clock = Clock()
    monkeypatch.setattr(ring_module, "own_seconds", clock.own_seconds)
    ring, training, taken = SnapshotRing(Room(10**6)), Counted(4), []
    began = clock.now
    clock.now += cost
    ring.take(0, training.at(0), proven=True, began=began)
    for step in range(1, steps):
        clock.now += step_time
        ring.sound(step)
        if ring.due(step):
            start = clock.now
            clock.now += cost
            ring.take(step, training.at(step), began=start)
            taken.append(step)
    assert ring.seconds == pytest.approx(cost * (1 + len(taken)))
    return taken, clock.now - began


@pytest.mark.parametrize(("cost", "step_time"), [(1e-3, 1e-2), (1e-2, 1e-2), (0.05, 1e-2), (0.5, 0.1), (3e-4, 1e-4)])
def test_the_interval_follows_the_cost_so_that_the_share_is_kept(monkeypatch, cost, step_time):
    taken, seconds = simulate(monkeypatch, cost, step_time, 20_000)
    assert len(taken) > 2
    # The one at the start and that after the first interval, which goes by nothing yet, are an advance.
    assert cost * (len(taken) - 1) <= SHARE * seconds
    gaps = {after - before for before, after in itertools.pairwise(taken[2:])}
    expected = max(SHORTEST, math.ceil(cost / (SHARE * step_time)))
    assert gaps
    assert all(abs(gap - expected) <= 1 + 0.02 * expected for gap in gaps)


def test_cheap_ones_come_no_more_often_than_every_sixteenth_step_and_dear_ones_not_never(monkeypatch):
    cheap, _ = simulate(monkeypatch, 0.0, 1.0, 500)
    assert {after - before for before, after in itertools.pairwise(cheap)} == {SHORTEST}
    dear, _ = simulate(monkeypatch, 1000.0, 1e-3, 3 * LONGEST)
    assert dear == [SHORTEST, SHORTEST + LONGEST, SHORTEST + 2 * LONGEST]


def test_one_slow_moment_of_the_machine_does_not_make_them_rare(monkeypatch):
    clock = Clock()
    monkeypatch.setattr(ring_module, "own_seconds", clock.own_seconds)
    ring, training, taken = SnapshotRing(Room(10**6)), Counted(4), []
    for step in range(2_000):
        clock.now += 1e-2
        ring.sound(step)
        if ring.due(step):
            start = clock.now
            clock.now += 5.0 if len(taken) == 4 else 1e-3
            ring.take(step, training.at(step), began=start)
            taken.append(step)
    assert max(after - before for before, after in itertools.pairwise(taken)) <= 2 * SHORTEST
    assert taken[-1] > 1_900


def test_ranks_that_go_by_no_clock_take_them_at_the_same_steps():
    taken = []
    for floats in (1, 100_000):
        ring, training, steps = SnapshotRing(Room(10**8), by_clock=False), Counted(floats), []
        for step in range(400):
            ring.sound(step)
            if ring.due(step):
                ring.take(step, training.at(step))
                steps.append(step)
        taken.append(steps)
    assert taken[0] == taken[1] == list(range(0, 400, FIXED))


# Whatever the order.


class AnyOrder(RuleBasedStateMachine):
    """Sound steps, snapshots (due or not), incidents however late, and going back to older ones, in any order."""

    @initialize(given=st.booleans(), fit=st.integers(2, 6), momentum=st.booleans())
    def begin(self, given, fit, momentum):
        self.training = Counted(momentum=momentum)
        if momentum:
            self.training.make_state()
        self.limit = fit * self.training.parts.size()
        self.ring = SnapshotRing(Room(self.limit), by_clock=False)
        self.step = 0
        self.taken, self.doubtful, self.given = {}, set(), given
        if given:
            self.ring.take(0, self.training.at(0), proven=True)

    @rule(steps=st.integers(1, 40))
    def sound_steps(self, steps):
        for _ in range(steps):
            self.step += 1
            self.ring.sound(self.step)

    @rule(steps=st.integers(60, 130))
    def train(self, steps):
        for _ in range(steps):
            self.step += 1
            self.ring.sound(self.step)
            if self.ring.due(self.step):
                self.take()

    @rule()
    def take(self):
        if self.step > 0 and self.step not in self.taken:
            self.ring.take(self.step, self.training.at(self.step))
            self.taken[self.step] = True

    @rule(late=st.one_of(st.integers(0, 20), st.integers(0, 300)))
    def incident(self, late):
        onset = max(0, self.step - late)
        self.ring.distrust(onset)
        # Quarantine's sixteen steps before the onset are in doubt as well.
        self.doubtful |= {step for step in self.taken if step > onset - QUARANTINE}
        self.step += 1

    @precondition(lambda self: self.ring.newest() is not None)
    @rule()
    def drop_newest(self):
        before = self.ring.steps
        self.ring.drop_newest()
        assert self.ring.steps == (before[:-1] if len(before) > 1 else before)

    @invariant()
    def none_in_doubt_is_used(self):
        newest = self.ring.newest()
        if newest is None:
            return
        is_given = self.given and newest.given
        assert is_given or newest.step not in self.doubtful
        assert is_given or newest.step <= self.step - QUARANTINE
        assert self.training.content(newest) == newest.step, "it is what it says it is"

    @invariant()
    def few_are_held_in_order_within_the_memory(self):
        if hasattr(self, "ring"):
            assert len(snapshots(self.ring)) <= MORE
            assert held_bytes(self.ring) <= self.limit
            assert self.ring.steps == sorted(set(self.ring.steps))


AnyOrder.TestCase.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)
TestAnyOrder = AnyOrder.TestCase


# Room.


@settings(max_examples=60, deadline=None)
@given(
    limit=st.integers(0, 1000),
    wishes=st.lists(st.tuples(st.integers(0, 4), st.integers(0, 1000)), min_size=1, max_size=20),
)
def test_a_room_never_grants_more_than_it_has(limit, wishes):
    room, granted = Room(limit), {}
    for owner, wanted in wishes:
        granted[owner] = room.grant(owner, wanted)
        assert granted[owner] <= wanted
        assert sum(granted.values()) <= limit
        others = sum(size for each, size in granted.items() if each != owner)
        assert granted[owner] == min(wanted, limit - others), "and all that it can"


def test_without_a_wish_a_room_has_a_part_of_what_is_free():
    size = Room().grant(1, 1 << 60)
    assert 0 < size < 1 << 50


def test_memory_that_runs_out_turns_snapshots_off_and_nothing_else():
    said = []
    ring = SnapshotRing(Room(10**12), by_clock=False, on_off=said.append)
    weight = nn.Parameter(torch.ones(4))
    parts = TrainingParts([weight], torch.optim.SGD([weight], lr=0.1))
    ring.take(0, parts, proven=True)
    # A real refusal of torch's: more elements than any machine has memory for.
    huge = nn.Parameter(torch.ones(1).expand(1 << 45))
    ring.take(64, TrainingParts([huge], torch.optim.SGD([weight], lr=0.1)))
    assert ring.off
    assert ring.newest() is None
    assert len(said) <= 1
