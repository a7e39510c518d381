"""The page model: a run and its summary as what is shown."""

import subprocess
import sys

import numpy as np
import pytest

from steadygrad._view import build_page, heat
from steadygrad._view.events import Series, in_words, table, timeline_row
from steadygrad.records import Action, Alarm, OptimizerInfo, StepRecord, TensorInfo
from steadygrad.store import Recorder, create_run, open_run

from . import recordings


def facts(page):
    return {fact.label: (fact.value, fact.note, fact.step) for fact in page.facts}


def test_a_stormy_run_tells_everything_that_happened(recorded):
    page = build_page(recorded("stormy"))
    shown = facts(page)
    assert page.verdict == "recovered"
    assert shown["Steps"][0] == "300"
    assert shown["First alarm"] == ("step 2", "nonfinite-gradient, 5 alarms in all", 2)
    assert shown["First non-finite value"][0] == "step 2"
    assert shown["First non-finite value"][1] == "backward: encoder.layers.1.mlp.up.weight (mm, 128×64)"
    assert shown["Actions"] == ("31", "26 clip · 5 skip", None)
    (section,) = page.sections
    assert section.loss.marks.step.tolist() == [2, 120, 121, 122]
    assert set(section.grad_norm.marks.kind) == {"NaN", "Inf"}
    norms, ratios = section.heats
    assert norms.values.shape == (40, 300)
    assert np.isnan(norms.values[0, 2])
    assert np.isinf(norms.values[0, 180])
    assert norms.values[20, 0] == -1
    assert norms.values[3, 200] == 0
    assert ratios.held
    assert [row.name for row in section.timeline] == ["nonfinite-gradient", "clip", "skip"]
    assert section.tensors[0].first_nonfinite == 2
    assert section.tensors[39].first_nonfinite is None
    assert len(page.events) == 36
    assert not page.events_left_out


def test_a_healthy_run_shows_no_event_and_no_finding(recorded):
    page = build_page(recorded("healthy"))
    assert page.verdict == "healthy"
    assert (page.events, page.findings, page.notices, page.sections[0].timeline) == ((), (), (), ())
    assert facts(page)["Actions"][0] == "none"


def test_a_run_without_steps_has_no_figures(recorded):
    page = build_page(recorded("unobserved"))
    assert page.verdict == "unobserved"
    assert page.sections == ()
    assert facts(page)["Loss"] == ("–", "no loss was seen", None)


def test_each_optimizer_has_its_own_section(recorded):
    page = build_page(recorded("two_optimizers"))
    assert [(section.steps, len(section.tensors)) for section in page.sections] == [(100, 8), (200, 6)]
    assert [bool(section.timeline) for section in page.sections] == [False, True]


def test_a_summary_in_hand_is_used_with_its_numbers_as_json_has_them(recorded):
    run = recorded("healthy")
    summary = {
        "verdict": "crashed", "reason": "because", "mode": "observe", "steps": 300, "first_alarm_step": None,
        "findings": [], "first_nonfinite": {"step": 4},
        "loss": {"first": "nan", "best": "-inf", "last": "inf"},
        "overhead": {"seconds": "nan", "fraction": "nan"},
        "exit": {"status": -15, "signal": "SIGTERM", "error": None},
    }  # fmt: skip
    shown = facts(build_page(run, summary))
    assert shown["Loss"] == ("NaN → Inf", "best -Inf", None)
    assert shown["Exit"][0] == "SIGTERM"
    assert shown["Overhead"][:2] == ("–", "NaN s of watching")
    assert shown["First non-finite value"] == ("step 4", "place not known", 4)


def test_a_loss_that_was_not_seen_is_no_nan(tmp_path):
    path = create_run(tmp_path, "train", "protect", ())
    recorder = Recorder(path / "rank0-1.db", pytest.fail)
    recorder.optimizer(OptimizerInfo(0, "SGD", (TensorInfo("w", (), "float32"),)))
    for step in range(9):
        loss = None if step % 3 else 1.0
        record = StepRecord(0, step, 0.0, loss, None, 1.0, 1.0, 1.0, "")
        recorder.step(record, np.ones(1, np.float32).tobytes())
    recorder.close()
    (section,) = build_page(open_run(path)).sections
    assert section.loss.step.tolist() == [0, 3, 6]
    assert not len(section.loss.marks)
    assert not len(section.lr)


def test_a_map_of_many_tensors_and_steps_stays_small(tmp_path, monkeypatch):
    monkeypatch.setattr(heat, "PIECE_BYTES", 4 * 2_000 * 7)  # several pieces
    run = recordings.healthy(tmp_path, steps=40, tensors=2_000)
    norms, norms_names = build_page(run).sections[0].heats[0], recordings.names(2_000)
    assert norms.values.shape[0] == len(norms.labels) == 500
    assert norms.tensors_per_row == 4
    assert norms.labels[1] == norms_names[4]
    assert norms.values.size <= heat.CELLS


def test_rare_events_are_listed_before_frequent_ones_fill_the_table():
    many = Series(0, "action", "clip", np.arange(10_000), {})
    few = Series(0, "action", "skip", np.array([5, 9_999]), {5: "why"})
    rows, left_out = table([many, few])
    assert len(rows) == 200
    assert [row.step for row in rows if row.name == "skip"] == [5, 9_999]
    assert left_out == {"clip": 9_802}
    assert [row.step for row in rows] == sorted(row.step for row in rows)
    row = timeline_row(many, marks=100)
    assert len(row.step) == 100
    assert row.count.sum() == row.total == 10_000


def test_an_action_that_only_its_step_tells_of_is_shown(tmp_path):
    path = create_run(tmp_path, "train", "protect", ())
    recorder = Recorder(path / "rank0-1.db", pytest.fail)
    recorder.optimizer(OptimizerInfo(0, "SGD", (TensorInfo("w", (), "float32"),)))
    for step in range(4):
        record = StepRecord(0, step, 0.0, 1.0, 0.1, 1.0, 1.0, 1.0, "clip" if step in (1, 2) else "")
        recorder.step(record, np.ones(1, np.float32).tobytes())
    recorder.action(Action(0, 2, "clip", {"limit": "inf"}))
    recorder.alarm(Alarm(0, 2, "gradient-spike", {"grad_norm": "nan"}))
    recorder.alarm(Alarm(0, 2, "gradient-spike", {"grad_norm": 3.0}))
    recorder.close()
    events = build_page(open_run(path)).events
    assert [(event.step, event.name, event.detail) for event in events] == [
        (1, "clip", ""),
        (2, "gradient-spike", "grad_norm nan; grad_norm 3"),
        (2, "gradient-spike", "grad_norm nan; grad_norm 3"),
        (2, "clip", "limit inf"),
    ]


def test_a_long_detail_is_cut():
    assert len(in_words({"error": "x" * 1_000})) == 300


def test_the_page_needs_neither_torch_nor_bokeh(recorded):
    script = (
        "import sys\n"
        "for name in ('torch', 'bokeh', 'jinja2'): sys.modules[name] = None\n"
        "from steadygrad._view import build_page\n"
        "from steadygrad.store import open_run\n"
        f"print(build_page(open_run({str(recorded('stormy').folder)!r})).verdict)\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60)
    assert (done.stdout, done.stderr) == ("recovered\n", "")
