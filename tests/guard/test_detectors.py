"""The guard as a whole: silent on everything that sound training does, loud on what throws a run away."""

import json
import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from steadygrad.clip import RobustClip
from steadygrad.guard import Guard, LossLevel, Measured
from steadygrad.guard.growth import Growth
from steadygrad.guard.updates import HarmlessRate, UpdateLevel
from tests.guard.parts import LOSSES, kept

STEPS = 800


# Bursts among the very first steps.


@pytest.mark.parametrize(("loss", "alarms"), [(40.0, ["gradient-spike"]), (1.1, [])])
def test_a_burst_before_there_is_any_spread_to_speak_of_is_an_alarm_if_the_loss_shows_it_too(loss, alarms):
    guard = Guard()
    raised = []
    for norm, now in ((7.5, 1.0), (7.3, 0.95), (8e3, loss), (3.4, 1.0), (6.0, 0.9), (7.0, 0.8), (6.5, 0.8)):
        raised += guard.judge(Measured(norm, now, 5.0)).alarms
    assert [(each.detector, each.detail["grad_norm"]) for each in raised] == [(each, 8e3) for each in alarms]


def test_a_moderate_burst_that_stays_is_a_new_scale_whatever_the_loss_says():
    guard = Guard()
    raised = []
    for norm in (7.5, 7.3, 1.5e3, 1.6e3, 1.5e3, 1.4e3, 1.5e3, 1.5e3):
        raised += guard.judge(Measured(norm, 1.0 if norm < 10 else 40.0, 5.0)).alarms
    assert not [each for each in raised if each.detector == "gradient-spike"]


@pytest.mark.parametrize(("norm", "alarms"), [(0.8, 0), (300.0, 1)])
def test_a_gradient_of_a_size_that_the_run_has_borne_is_clipped_and_no_alarm(norm, alarms):
    """A policy that has learned its game has next to no gradient, but for the rare game that it loses."""
    guard, raised = Guard(), []
    for number in range(300):
        raised += guard.judge(Measured(1.0 if number < 20 else 1e-5 * (1.1 + math.sin(number)), None, 5.0)).alarms
    ruling = guard.judge(Measured(norm, None, 5.0))
    assert ruling.action == "clip"
    for number in range(8):
        raised += guard.judge(Measured(1e-5 * (1.1 + math.sin(number)), None, 5.0)).alarms
    assert [each.detector for each in raised] == ["gradient-spike"] * alarms


# The guard as a whole.


class Stream:
    """A synthetic training: what would be measured at each step."""

    def __init__(self, seed=0, *, adapts=False, start=3.0, end=1.0):
        self.random = random.Random(seed)
        self.adapts = adapts
        self.start, self.end = start, end

    def spread(self, sigma):
        return math.exp(self.random.gauss(0, sigma))

    def lr(self, step):
        return 0.1

    def loss(self, step):
        size = self.start - self.end
        return self.end + size * math.exp(-step / 150) + 0.02 * size * self.random.gauss(0, 1)

    def norm(self, step):
        return 2.0 * self.spread(0.3)

    def weights(self, step):
        return 10.0 + 0.001 * (step - step % 10)

    def measured(self, step):
        lr, norm = self.lr(step), self.norm(step)
        moved = None if step == 0 else 0.02 * self.lr(step - 1) * self.spread(0.3)
        reach = 0.0 if self.adapts else 0.05 * lr * norm
        return Measured(norm, self.loss(step), self.weights(step), reach, moved, lr, self.adapts)


class Noisy(Stream):
    def loss(self, step):
        return (1.0 + 2.0 * math.exp(-step / 150)) * self.spread(1.0)

    def norm(self, step):
        return self.spread(1.0)


class Periodic(Stream):
    """Epochs of sorted data: loss and gradients go up and down with a period."""

    def loss(self, step):
        return super().loss(step) + 0.3 * math.sin(step / 10)

    def norm(self, step):
        return super().norm(step) * (1.5 + math.sin(step / 10))


class Rising(Stream):
    """As a generator's loss against a discriminator that gets better."""

    def loss(self, step):
        return 1.0 + 0.002 * step + 0.05 * self.random.gauss(0, 1)


class WarmUp(Stream):
    def lr(self, step):
        return 0.1 * min(1.0, (step + 1) / 200)


class Restarts(Stream):
    """Cosine restarts: at the end of a period the rate is next to nothing, then all of it; the loss goes up a bit."""

    least = 0.01

    def lr(self, step):
        return self.least + (0.1 - self.least) * (1 + math.cos(math.pi * (step % 100) / 99)) / 2

    def loss(self, step):
        return super().loss(step) + 0.1 * math.exp(-(step % 100) / 20) * (step >= 100)


class RestartsFromNothing(Restarts):
    least = 0.0


class TenfoldNorms(Stream):
    """Gradients become ten times as large over 200 steps while the loss falls."""

    def norm(self, step):
        return super().norm(step) * 10 ** min(1.0, max(0.0, (step - 300) / 200))


class LongerContext(Stream):
    """A change of the task at one step: gradients three times as large, the loss higher, from then on."""

    def norm(self, step):
        return super().norm(step) * (3.0 if step >= 400 else 1.0)

    def loss(self, step):
        return super().loss(step) + (0.4 if step >= 400 else 0.0)


class RaisedSoundly(Stream):
    """The rate goes up tenfold at one step, and the loss goes on falling."""

    def lr(self, step):
        return 0.1 if step < 400 else 1.0


HEALTHY = {
    "calm": Stream,
    "calm-adam": lambda seed: Stream(seed, adapts=True),
    "noisy": Noisy,
    "periodic": Periodic,
    "rising": Rising,
    "negative": lambda seed: Stream(seed, start=-1.0, end=-50.0),
    "through-zero": lambda seed: Stream(seed, start=2.0, end=-3.0),
    "tiny": lambda seed: Stream(seed, start=3e-9, end=1e-9),
    "warm-up": WarmUp,
    "restarts": Restarts,
    "restarts-from-nothing": RestartsFromNothing,
    "tenfold-norms": TenfoldNorms,
    "longer-context": LongerContext,
    "raised-soundly": RaisedSoundly,
}


def watch(stream, steps=STEPS, guard=None, first=0):
    guard = Guard() if guard is None else guard
    return [guard.judge(stream.measured(step)) for step in range(first, first + steps)]


def alarms(rulings):
    return [(step - raised.late, raised.detector) for step, ruling in enumerate(rulings) for raised in ruling.alarms]


@pytest.mark.parametrize("name", HEALTHY)
def test_sound_training_is_left_alone(name):
    for seed in range(5):
        rulings = watch(HEALTHY[name](seed))
        assert alarms(rulings) == [], seed
        assert not any(ruling.lost for ruling in rulings), seed


class Fault(Stream):
    """Sound until one step; then something is laid over what is measured."""

    at = 400

    def __init__(self, change, seed=0, **options):
        super().__init__(seed, **options)
        self.change = change

    def measured(self, step):
        sound = super().measured(step)
        if step < self.at:
            return sound
        known = {name: getattr(sound, name) for name in Measured.__slots__}
        return Measured(**{**known, **self.change(step - self.at, sound)})


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("share", [0.3, 0.8])
def test_ground_is_lost_when_more_than_half_of_the_progress_is_gone_for_long(kind, share):
    """Without any other sign; it is no alarm, it is worth a comparison."""
    start, end = LOSSES[kind]
    guard = Guard()
    came_up = share * (start - end)
    stream = Fault(lambda since, sound: {"loss": sound.loss + came_up}, start=start, end=end)
    rulings, seen, soon = [], [], []
    for step in range(STEPS):
        rulings.append(guard.judge(stream.measured(step)))
        seen += [step] * guard.lost_ground()
        soon += [step] * guard.lost_ground(soon=True)
    assert alarms(rulings) == []
    if share < 0.5:
        assert seen == []
        return
    assert Fault.at + 30 <= seen[0] <= Fault.at + 48
    assert seen[0] - 8 == soon[0], "so that the pass is taped by then"
    guard.told_lost_ground()
    assert not guard.lost_ground()


def first_alarm(rulings, detector):
    for step, ruling in enumerate(rulings):
        for raised in ruling.alarms:
            if raised.detector == detector:
                return step, ruling, raised
    raise AssertionError(f"no {detector}, only {alarms(rulings)}")


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize("adapts", [False, True])
def test_a_step_that_has_thrown_the_weights_away_is_undone_at_the_next(kind, adapts):
    start, end = LOSSES[kind]

    def thrown(since, sound):
        return {"moved": 2.0 if since == 0 else sound.moved, "loss": end + 5 * (start - end)}

    for seed in range(5):
        rulings = watch(Fault(thrown, seed, adapts=adapts, start=start, end=end), Fault.at + 1)
        step, ruling, raised = first_alarm(rulings, "update-spike")
        assert step == Fault.at
        assert ruling.action == "undo"
        assert raised.late == 1
        assert raised.detail["usual_over_it"] == pytest.approx(0.002 / 2.0, rel=0.5)


def test_a_step_that_has_gone_far_and_done_no_harm_is_a_new_scale():
    """After a restart of a schedule, say: the loss is where it was."""
    rulings = watch(Fault(lambda since, sound: {"moved": 1.0}))
    assert alarms(rulings) == []


def test_weights_that_are_no_numbers_any_more_are_seen_whatever_the_loss_says():
    for loss in (1.0, None, math.nan):
        rulings = watch(Fault(lambda since, sound, loss=loss: {"moved": math.nan, "loss": loss}), Fault.at + 1)
        step, ruling, raised = first_alarm(rulings, "nonfinite-parameter")
        assert step == Fault.at
        assert ruling.lost
        assert raised.late == 1


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_left_out(bad):
    for name, detector in (("grad_norm", "nonfinite-gradient"), ("loss", "nonfinite-loss")):
        rulings = watch(Fault(lambda since, sound, name=name: {name: bad} if since == 0 else {}))
        step, ruling, _ = first_alarm(rulings, detector)
        assert (step, ruling.action) == (Fault.at, "skip")
        assert len(alarms(rulings)) == 1
        assert sum(ruling.lost for ruling in rulings) == 1


def test_a_loss_does_not_decide_where_ranks_see_different_ones():
    guard = Guard(use_loss=False)
    rulings = watch(Fault(lambda since, sound: {"loss": math.nan}), guard=guard)
    assert alarms(rulings) == []
    assert not any(ruling.lost for ruling in rulings)
    assert guard.level.level() is None


def test_a_rate_ten_times_as_high_with_an_elevated_loss_is_what_drives_it():
    for seed in range(5):
        rulings = watch(
            Fault(lambda since, sound: {"lr": 1.0, "loss": sound.loss + min(1.0, since / 8)}, seed), Fault.at + 64
        )
        step, _, raised = first_alarm(rulings, "loss-divergence")
        assert step <= Fault.at + 40
        assert Fault.at - 16 <= step - raised.late <= Fault.at + 16, "about when the rate went up"
        assert raised.detail["lr_raised"] == pytest.approx(10.0)
        assert raised.detail["lr_raised_now"] == pytest.approx(10.0)
        assert len(alarms(rulings)) == 1, "told once"


def test_the_same_loss_without_a_raised_rate_is_a_harder_task():
    rulings = watch(Fault(lambda since, sound: {"loss": sound.loss + min(1.0, since / 8)}))
    assert alarms(rulings) == []


def test_gradients_that_grow_on_and_on_with_a_loss_above_its_best_are_an_alarm():
    def growing(since, sound):
        return {"grad_norm": sound.grad_norm * 1.06**since, "loss": sound.loss + 0.03 * since}

    for seed in range(5):
        rulings = watch(Fault(growing, seed), Fault.at + 120)
        names = {detector for _, detector in alarms(rulings)}
        assert names & {"sustained-growth", "loss-divergence"}


def test_weights_that_grow_on_and_on_with_a_loss_above_its_best_are_an_alarm():
    def growing(since, sound):
        return {"weight_norm": 10.0 * 1.02 ** (since - since % 10), "loss": sound.loss + 0.03 * since}

    for seed in range(5):
        rulings = watch(Fault(growing, seed), Fault.at + 200)
        step, _, _ = first_alarm(rulings, "sustained-growth")
        assert step <= Fault.at + 120


def test_a_loss_and_gradients_that_set_records_together_run_away():
    def away(since, sound):
        return {"grad_norm": 2.0 * 1.6**since, "loss": 1.0 * 1.7**since, "reach": 0.001}

    rulings = watch(Fault(away), Fault.at + 20)
    assert "loss-divergence" in {detector for _, detector in alarms(rulings)}


def test_a_spike_is_clipped_at_once_and_told_with_the_number_of_its_step():
    rulings = watch(Fault(lambda since, sound: {"grad_norm": 1e6, "reach": 50.0} if since == 0 else {}))
    assert rulings[Fault.at].action == "clip"
    assert rulings[Fault.at].coefficient < 1e-3
    assert {step for step, _ in alarms(rulings)} == {Fault.at}


def test_gradients_that_explode_again_and_again_are_told_as_such():
    rulings = watch(
        Fault(lambda since, sound: {"grad_norm": 10 ** (4 + since % 5), "reach": 0.9} if since % 4 == 0 else {})
    )
    assert "sustained-clipping" in {detector for _, detector in alarms(rulings)}


@pytest.mark.parametrize("at", [0, 1, 2, 3])
def test_a_first_gradient_out_of_scale_does_not_stay_in_the_moments(at):
    """Where the moments remember: the very first is undone two steps later, those after it are scaled down."""
    for seed in range(5):
        stream = Stream(seed, adapts=True)
        guard, rulings = Guard(), []
        for step in range(60):
            measured = stream.measured(step)
            if step == at:
                known = {name: getattr(measured, name) for name in Measured.__slots__}
                measured = Measured(**{**known, "grad_norm": 1e4 * measured.grad_norm})
            rulings.append(guard.judge(measured))
        if at == 0:
            step, ruling, raised = first_alarm(rulings, "gradient-spike")
            assert (step, step - raised.late, ruling.action) == (2, 0, "undo")
        else:
            assert rulings[at].action == "clip"
            assert rulings[at].coefficient < 0.05
        assert [ruling.action for step, ruling in enumerate(rulings) if step not in {at, 2}] == [""] * (
            60 - len({at, 2})
        ), "nothing else is touched"


def test_a_first_gradient_that_is_large_is_left_alone_where_nothing_remembers_it():
    for scale, adapts in ((1e4, False), (30.0, True)):
        stream = Stream(adapts=adapts)
        guard = Guard()
        for step in range(60):
            measured = stream.measured(step)
            if step == 0:
                known = {name: getattr(measured, name) for name in Measured.__slots__}
                measured = Measured(**{**known, "grad_norm": scale * measured.grad_norm})
            assert guard.judge(measured).action == ""


# What is rejected is not learned.


def trained(seed=0, steps=200, **options):
    guard, stream = Guard(), Stream(seed, **options)
    watch(stream, steps, guard)
    return guard, stream


def of(measured, **changes):
    return Measured(**{**{name: getattr(measured, name) for name in Measured.__slots__}, **changes})


STATISTICS = ("level", "updates", "rates", "_norm_growth", "_weight_growth")


@pytest.mark.parametrize(
    ("changes", "action"),
    [
        ({"grad_norm": math.nan}, "skip"),
        ({"loss": math.inf}, "skip"),
        ({"grad_norm": math.inf, "loss": math.nan}, "skip"),
        ({"moved": 5.0, "loss": 1e3}, "undo"),
        ({"moved": math.nan}, "undo"),
    ],
)
def test_a_step_that_is_lost_enters_no_statistic(changes, action):
    for seed in range(5):
        guard, stream = trained(seed)
        before = kept(guard)
        for _ in range(8):
            ruling = guard.judge(of(stream.measured(200), **{"moved": None, **changes}))
            assert ruling.action == action
        guard._loss_alone = 0  # how many there were is counted, and is no statistic of the run
        assert kept(guard) == before


def test_a_loss_whose_number_alone_overflows_is_no_reason_to_make_no_step_at_all():
    guard, stream = trained()
    overflows = of(stream.measured(200), loss=math.inf, moved=None)
    rulings = [guard.judge(overflows) for _ in range(12)]
    assert [ruling.action for ruling in rulings] == ["skip"] * 8 + [""] * 4
    assert guard.judge(of(stream.measured(201), moved=None)).action == ""
    assert guard.judge(overflows).action == "skip"
    assert guard.judge(of(overflows, grad_norm=math.nan)).action == "skip"


@pytest.mark.parametrize("adapts", [False, True])
def test_a_step_that_is_clipped_enters_no_statistic_of_sound_steps(adapts):
    guard, stream = trained(adapts=adapts)
    before = guard.state_dict()
    reach = 0.0 if adapts else 20.0
    ruling = guard.judge(of(stream.measured(200), grad_norm=1e7, reach=reach, moved=None))
    after = guard.state_dict()
    assert ruling.action == "clip"
    assert [name for name in STATISTICS if json.dumps(after[name]) != json.dumps(before[name])] == []
    assert after["clip"]["accepted"] == before["clip"]["accepted"]


def test_a_first_step_that_is_held_enters_no_statistic():
    guard = Guard()
    before = guard.state_dict()
    assert guard.judge(Measured(1e3, 2.0, 10.0, reach=50.0)).action == "hold"
    after = guard.state_dict()
    assert after["level"].pop("_seen") == 2.0, "where the run began is known"
    before["level"].pop("_seen")
    assert [name for name in STATISTICS if json.dumps(after[name]) != json.dumps(before[name])] == []
    assert after["clip"]["accepted"] == before["clip"]["accepted"]


# Going on from what is known.


class Everything(Stream):
    """Something of each kind now and then."""

    def measured(self, step):
        sound = super().measured(step)
        what = self.random.random()
        changes = [
            (0.01, {"grad_norm": math.nan}),
            (0.02, {"loss": math.nan}),
            (0.03, {"moved": 4.0, "loss": 100.0}),
            (0.04, {"grad_norm": 1e8, "reach": 0.0 if self.adapts else 9.0}),
            (0.05, {"loss": None}),
            (0.06, {"moved": None}),
            (0.07, {"grad_norm": 0.0}),
            (0.08, {"lr": 3.0}),
            (0.12, {"grad_norm": 300.0}),
        ]
        return next((of(sound, **change) for share, change in changes if what < share), sound)


@settings(max_examples=40, deadline=None)
@given(
    at=st.integers(0, 150),
    seed=st.integers(0, 1000),
    adapts=st.booleans(),
    name=st.sampled_from(["everything", "restarts", "tenfold"]),
)
def test_a_guard_goes_on_as_if_nothing_had_been(at, seed, adapts, name):
    kind = {"everything": Everything, "restarts": Restarts, "tenfold": TenfoldNorms}[name]
    stream = kind(seed, adapts=adapts)
    every = [stream.measured(step) for step in range(at + 150)]
    guard = Guard()
    for measured in every[:at]:
        guard.judge(measured)
    written = json.dumps(guard.state_dict())
    other = Guard(RobustClip())
    other.load_state_dict(json.loads(written))
    assert json.dumps(other.state_dict()) == written
    for measured in every[at:]:
        assert repr(other.judge(measured)) == repr(guard.judge(measured))
        assert other.incident() == guard.incident()


def test_a_state_that_was_gone_on_from_stays_as_it_was():
    """A snapshot keeps the guard's state, and can be gone back to more than once."""
    guard = Guard()
    state = guard.state_dict()
    written = json.dumps(state)
    guard.load_state_dict(state)
    guard.judge(Measured(1.0, 2.0, 10.0, adapts=True))
    assert json.dumps(state) == written


@pytest.mark.parametrize("make", [LossLevel, UpdateLevel, HarmlessRate, lambda: Growth(least=1.1, total=8.0)])
def test_each_part_goes_on_from_what_it_knew(make):
    generator = random.Random(3)

    def feed(part, value):
        if isinstance(part, HarmlessRate):
            part.check(value, sound=value < 3)
            return part.raised()
        if isinstance(part, UpdateLevel):
            part.push(value)
            return part.thrown(10 * value), part.usual_over(value)
        said = part.push(value)
        if isinstance(part, LossLevel):
            return part.worse(), part.elevated(), part.diverges(value), part.limit(), part.above_start(), part.at_check
        return said, part.factor if said else None

    one, other = make(), make()
    values = [math.exp(generator.gauss(step / 60, 0.3)) for step in range(200)]
    for value in values[:77]:
        feed(one, value)
    other.load_state_dict(json.loads(kept(one)))
    assert kept(other) == kept(one)
    for value in values[77:]:
        assert feed(one, value) == feed(other, value)


def test_how_long_the_loss_has_been_above_its_start():
    level = LossLevel()
    for step in range(60):
        level.push(4.0 - 0.02 * step)
    assert level.steps_above_start == 0
    for step in range(30):
        level.push(20.0 + step)
    assert 25 <= level.steps_above_start <= 30
    for _ in range(12):
        level.push(3.0)
    assert level.steps_above_start == 0


def test_a_loss_that_was_never_as_low_as_its_first_has_been_above_all_along():
    level = LossLevel()
    for loss in [1.0, *[9.0] * 30]:
        level.push(loss)
    assert level.steps_above_start == 31
