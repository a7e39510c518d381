"""What runs come to: tables, means, where they broke."""

import math
from pathlib import Path

import pytest

from steadygrad.gallery import (
    DEMOS,
    Attempt,
    Events,
    Exhibit,
    Plan,
    cures_table,
    curve_table,
    heroes_table,
    write_picture,
)
from steadygrad.gallery.attempt import parse_result
from steadygrad.gallery.cures import CURES, NOTHING, REPAIR, WATCHED, remedies
from steadygrad.gallery.curve import curve_points
from steadygrad.gallery.demos import Lengths, Sweep
from steadygrad.interventions import intervention_for

DEMO = DEMOS[0]
METRIC, BASELINE = DEMO.metric, DEMO.baseline


def exhibit(values, seeds=(0, 1, 2)):
    """Runs whose metric is given by cure; NaN from step 7 on where it is NaN."""
    plan = Plan(DEMO, Path("x.py"), Path("out"), tuple(seeds), 10)
    made = Exhibit(plan)
    for each in made.missing():
        value = values(each)
        each.losses = [2.0] * (7 + each.seed) + [value] * (3 - each.seed)
        each.results = {METRIC: value, BASELINE: 2.5}
        made.grid.append(each)
    return made


def test_the_grid_is_each_cure_with_each_seed_under_both_optimizers():
    made = exhibit(lambda each: 1.0)
    assert len(made.grid) == len(CURES) * 2 * 3
    assert made.missing() == []
    assert [each.optimizer for each in made.grid[:24]] == [DEMO.optimizer] * 24


def test_a_row_says_where_runs_broke_and_what_is_left():
    made = exhibit(lambda each: math.nan if each.cure is NOTHING else 2.0 + 0.1 * each.seed)
    table = cures_table(made)
    assert table.header[1:] == ("SGD: non-finite at", f"SGD: {METRIC}", "Adam: non-finite at", f"Adam: {METRIC}")
    assert table.rows[0] == ("nothing", "7 to 9", "nan", "7 to 9", "nan")
    assert table.rows[1] == ("gradient clipping", "never", "2.1 ± 0.1", "never", "2.1 ± 0.1")
    assert {(0, 1), (0, 2), (0, 3), (0, 4)} == set(table.bad)


def test_some_seeds_may_break():
    made = exhibit(lambda each: math.nan if each.seed == 1 else 3.0)
    assert cures_table(made).rows[0][1:3] == ("8 (1 of 3)", "3 (nan in 1 of 3)")
    assert not cures_table(made).best, "a mean of those that are left is no winner"


@pytest.mark.parametrize("best", ["clip", "steadygrad"])
def test_the_best_mean_of_a_column_is_marked(best):
    made = exhibit(lambda each: 1.0 if each.cure.id == best else 2.0)
    place = [each.id for each in CURES].index(best)
    assert cures_table(made).best == {(place, 2), (place, 4)}
    assert cures_table(made).markdown().splitlines()[2 + place].count("**1 ± 0**") == 2


def test_what_was_not_run_is_a_dash():
    made = exhibit(lambda each: 1.0)
    made.grid = made.grid[:1]
    assert cures_table(made).rows[1] == ("gradient clipping", "-", "-", "-", "-")


def test_heroes_stand_beside_each_other(tmp_path):
    made = exhibit(lambda each: 2.0)
    for cure, losses in ((NOTHING, [2.0, math.nan]), (WATCHED, [2.0, 1.0]), (REPAIR, [2.0, 1.5])):
        made.heroes.append(Attempt(cure, "sgd", 0, losses=losses, results={METRIC: losses[-1], BASELINE: 2.5}))
    table = heroes_table(made)
    assert table.header == ("", "bare", "steadygrad run", "--mode repair")
    assert table.rows[0][1:] == ("1", "never", "never")
    assert table.rows[2][1:] == ("nan", "1", "1.5")
    assert (0, 1) in table.bad
    assert (0, 2) not in table.bad
    write_picture(made, tmp_path / "picture.svg")
    drawn = (tmp_path / "picture.svg").read_text()
    for words in ("bare", "nan", "training loss", METRIC):
        assert f"<!-- {words} -->" in drawn


@pytest.mark.parametrize("values", [math.nan, math.inf, -3.0, 0.0, 1e30])
def test_any_values_can_be_drawn(values, tmp_path):
    made = exhibit(lambda each: values if each.seed else 1.0)
    made.heroes = [Attempt(NOTHING, "sgd", 0, losses=[values] * 3, results={METRIC: values})]
    write_picture(made, tmp_path / "picture.png")
    assert (tmp_path / "picture.png").stat().st_size > 5_000


def test_a_picture_of_nothing_is_drawn_too(tmp_path):
    write_picture(Exhibit(Plan(DEMO, Path("x.py"), Path("out"), (0,), 10)), tmp_path / "picture.png")


@pytest.mark.parametrize("cure", CURES, ids=lambda each: each.id)
@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
def test_each_cure_can_be_applied(cure, optimizer):
    for each in remedies(cure, optimizer, 200):
        intervention_for(each.remedy, each.where, **each.options)


def test_a_last_line_is_read():
    line = "bits per character 2.3100, T=20 success 1, model nan"
    read = parse_result(line)
    assert list(read) == ["bits per character", "T=20 success", "model"]
    assert read["T=20 success"] == 1.0
    assert math.isnan(read["model"])


SWEEPS = [each for each in DEMOS if isinstance(each.curve, Sweep)]


def swept(demo, *arguments, quick=False):
    """Heroes and a sweep, whose metric is the value; nothing bare at the highest one."""
    made = Exhibit(Plan(demo, Path("x.py"), Path("out"), (3,), 10, tuple(arguments), quick=quick))
    made.heroes = [
        Attempt(cure, "adam", 3, results={demo.metric: demo.curve.own}) for cure in (NOTHING, WATCHED, REPAIR)
    ]
    for each in made.sweep_points():
        value = float(each.arguments[-1])
        lost = each.cure is NOTHING and value == max(demo.curve.values)
        each.results = {demo.metric: math.nan if lost else value}
        made.sweep.append(each)
    return made


@pytest.mark.parametrize("demo", SWEEPS, ids=lambda each: each.name)
@pytest.mark.parametrize("quick", [False, True])
def test_a_sweep_has_every_value_bare_and_watched_and_the_scripts_own(demo, quick, tmp_path):
    made = swept(demo, "--batch", "4", quick=quick)
    assert made.sweep_points() == []
    assert all(each.arguments[:3] == ("--batch", "4", demo.curve.option) and each.seed == 3 for each in made.sweep)
    values = sorted([demo.curve.own, *(demo.curve.quick if quick else demo.curve.values)])
    table = curve_table(made)
    assert table.header == ("learning rate", "bare", "steadygrad run")
    assert [row[0] for row in table.rows] == [f"{value:g}" for value in values]
    assert table.rows[-1][1:] == ("nan", f"{values[-1]:g}")
    assert table.bad == {(len(values) - 1, 1)}
    write_picture(made, tmp_path / "picture.svg")
    assert "<!-- learning rate -->" in (tmp_path / "picture.svg").read_text()


def test_with_a_value_of_the_readers_the_heroes_are_no_points_of_the_curve():
    demo = SWEEPS[0]
    made = swept(demo, demo.curve.option, "0.5")
    assert demo.curve.own not in [value for value, _ in curve_points(made)[NOTHING]]


def test_only_some_demos_have_a_curve():
    made = exhibit(lambda each: 1.0)
    assert curve_points(made) == {}
    assert curve_table(made) is None
    made.run_sweep(Events())
    assert made.sweep == []


def test_lengths_are_read_off_the_last_line():
    demo = next(each for each in DEMOS if isinstance(each.curve, Lengths))
    made = Exhibit(Plan(demo, Path("x.py"), Path("out"), (0,), 10))
    made.heroes = [Attempt(REPAIR, "sgd", 0, results={"T=10 success": 1.0, "T=20 success": 0.5})]
    (points,) = curve_points(made).values()
    assert points[:2] == [(10, 1.0), (20, 0.5)]
    assert math.isnan(points[2][1])
    assert curve_table(made) is None, "its numbers stand in the first table already"
