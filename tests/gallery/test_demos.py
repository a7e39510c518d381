"""Each demo in its quick form, on real data: the bare run really fails, the watched one really does not."""

import json
import math
import sys

import pytest

from steadygrad import open_run
from steadygrad.gallery import DEMOS
from steadygrad.gallery.cures import CURES, MAIN, NOTHING, WATCHED
from steadygrad.gallery.demos import Sweep

NEAR = 0.05
"""How near to a baseline is as good as it."""

PNG = b"\x89PNG\r\n\x1a\n"


def better(value, other, higher):
    return value > other if higher else value < other


@pytest.mark.slow
@pytest.mark.timeout(900)  # whatever machine this is
@pytest.mark.parametrize("demo", DEMOS, ids=lambda each: each.name)
def test_the_demo(demo, runner):
    done, shown = show(demo, runner, "--no-cures")
    bare, watched, repaired = (shown[each] for each in ("bare", "steadygrad", "repair"))
    baseline = 0.0 if demo.baseline is None else watched["results"][demo.baseline]

    assert len(bare["results"]) >= 2
    held = watched if demo.holds == "protect" else repaired
    for each in (watched, repaired):
        assert each["first_nonfinite_step"] is None
        assert math.isfinite(each["final_loss"])
        assert math.isfinite(each["results"][demo.metric])
        assert each["steps"] == bare["steps"] == demo.quick
    value, alone = held["results"][demo.metric], bare["results"][demo.metric]
    if demo.beats:
        assert better(value, baseline, demo.higher)
    else:
        assert value == pytest.approx(baseline, abs=NEAR)
    if bare["first_nonfinite_step"] is None and isinstance(alone, float):
        assert better(value, alone, demo.higher)
        assert not better(alone, baseline + 0.05 * abs(baseline), demo.higher), "the bare run does not fail"
    else:
        assert not isinstance(alone, float) or not better(alone, baseline, demo.higher)

    run = open_run(runner.folder / held["run"])
    assert run.verdict in ("recovered", "healthy")
    assert demo.cause in [finding.cause for finding in run.findings()[:1]]
    assert demo.metric in done.stdout
    assert "first non-finite" in done.stdout


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_every_cure_is_tried_on_it(runner):
    """Some twenty trainings of one demo, one that has a sweep: of another demo they are as many of the same kind."""
    demo = next(each for each in DEMOS if isinstance(each.curve, Sweep))
    _, shown = show(demo, runner)
    cells = {(each["cure"], each["optimizer"]) for each in shown["cures"]}
    assert cells == {
        *((cure.id, demo.optimizer) for cure in CURES),
        *((cure.id, demo.other) for cure in MAIN),
    }
    assert all(len(each["results"]) == len(shown["bare"]["results"]) for each in shown["cures"])

    points = {(each["cure"], each["arguments"][-1]) for each in shown["sweep"]}
    assert points == {(cure.id, f"{value:g}") for cure in (NOTHING, WATCHED) for value in demo.curve.quick}

    picture = (runner.folder / "out" / f"{demo.name}.png").read_bytes()
    assert picture.startswith(PNG)
    assert len(picture) > 10_000
    assert (runner.folder / "out" / f"{demo.name}.html").stat().st_size > 500_000
    page = (runner.folder / "out" / f"{demo.name}.md").read_text()
    assert page.startswith(f"# {demo.name}\n")
    for each in CURES:
        assert f"| {each.title} |" in page


def show(demo, runner, *words):
    words = ("-m", "steadygrad", "demo", demo.name, "--quick", "--json", "out.json", "--out", "out", *words)
    done = runner.bare(sys.executable, *words, timeout=840)
    assert done.returncode == 0, done.stderr
    return done, json.loads((runner.folder / "out.json").read_text())
