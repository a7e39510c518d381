"""A task that becomes another on the way: what counts is what happens from there on."""

import math
import random

import pytest

from steadygrad.findings import Finding
from steadygrad.remedies import remedy
from steadygrad.trials import Candidate, Series, Trial, mended, prove
from steadygrad.trials.turn import turn

TURN = 100


def losses(seed, level=1e-3, lift=10.0, thrown=0.0, back=1.0, at=TURN):
    """Noise around a level; from a step on around one that lies higher; thrown from there, and coming back."""
    noise = random.Random(seed)
    usual = [level * noise.uniform(0.5, 1.5) for _ in range(at)]
    later = [
        level * lift * (noise.uniform(0.5, 1.5) + (thrown * back**step if step else 0.0)) for step in range(200 - at)
    ]
    return (*usual, *later)


def trial(name, series, number=1, **values):
    return Trial(Candidate(name, remedy(name).removes), Series(series), 1, number=number, **values)


CONTROL = Trial(None, Series(losses(0, thrown=300.0)))
CALM = trial("lower-beta2", losses(1, thrown=0.5, back=0.9))
THROWN = trial("warm-up", losses(2, thrown=400.0), 2)


def test_where_every_run_is_lifted():
    assert turn([CONTROL], [CALM, THROWN]) == TURN


def test_a_change_that_has_changed_nothing_is_no_other_run():
    same = trial("warm-up", CONTROL.series.losses, 2)
    assert turn([CONTROL], [CALM, same]) is None
    assert turn([CONTROL], [CALM, THROWN, same]) == TURN


@pytest.mark.parametrize(
    "other",
    [
        losses(3, lift=1.0),
        losses(3, thrown=300.0, at=TURN + 1),
        losses(3, lift=1.4),
        (*losses(3)[:TURN], 1.0, *losses(3, lift=1.0)[TURN + 1 :]),
    ],
    ids=["no lift", "a step later", "as large as noise", "one bad batch"],
)
def test_one_that_is_not_lifted_there_says_that_it_is_no_other_task(other):
    assert turn([CONTROL], [CALM, THROWN, trial("stable-adamw", other, 3)]) is None


def test_one_that_has_ended_before_or_is_not_finite_there_has_no_say():
    short = trial("stable-adamw", losses(3)[:50], 3)
    lost = trial("raise-epsilon", (*losses(4)[:90], *(math.nan,) * 10), 4)
    assert turn([CONTROL], [CALM, THROWN, short, lost]) == TURN


def test_losses_below_zero():
    def below(each):
        return Series(tuple(loss - 5.0 for loss in each.losses))

    several = [losses(seed, lift=5000.0) for seed in range(3)]
    assert turn([Trial(None, below(Series(several[0])))], [trial("warm-up", below(Series(several[1])).losses)]) is None
    runs = [trial("warm-up", below(Series(each)).losses, number) for number, each in enumerate(several[1:])]
    assert turn([Trial(None, below(Series(several[0])))], runs) == TURN


def test_what_keeps_the_level_of_the_new_task_mends_the_run():
    assert [each.name for each in mended([CALM, THROWN], [CONTROL, CONTROL])] == ["lower-beta2"]
    said = [Finding("stale-second-moment", 0.5, "", "")]
    proof = prove(said, [CONTROL, CONTROL], [CALM, THROWN])
    assert (proof.cause, proof.findings[0].proven) == ("stale-second-moment", True)


def test_what_ends_high_does_not_however_calm_it_was():
    crept = trial("lower-beta2", (*losses(1)[:TURN], *(1e-2 * (1 + step / 10) for step in range(100))))
    assert mended([crept, THROWN], [CONTROL]) == []


def test_a_control_that_keeps_it_too_needs_no_mending():
    assert mended([CALM, THROWN], [Trial(None, Series(losses(0)))]) == []


def test_a_run_that_comes_below_its_start_is_judged_as_ever():
    learned = trial("mean-reduction", tuple(1.0 * 0.9**step for step in range(200)))
    assert [each.name for each in mended([learned, CALM, THROWN], [CONTROL])] == ["mean-reduction"]
