"""The file: self-contained, small, whole or not there, and clear about what is missing."""

import os
import subprocess
import sys
import time
from html.parser import HTMLParser

import numpy as np
import pytest

import steadygrad.report
from steadygrad.errors import MissingExtra, NotARun, RecordingError
from steadygrad.records import StepRecord
from steadygrad.report import require_ui, write_report
from steadygrad.report.heatmap import boxes, heatmap
from steadygrad.report.shades import NOTHING, Shades
from steadygrad.report.theme import StepAxis
from steadygrad.store import Recorder, create_run

from . import recordings
from .conftest import KINDS

MISSING = "the report needs bokeh and jinja2: pip install 'steadygrad[ui]'"


class Tags(HTMLParser):
    """Every tag with its attributes, and the text between the tags."""

    def __init__(self, text):
        super().__init__()
        self.tags, self.texts = [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.texts.append(data)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_run_gets_a_self_contained_page(kind, recorded, tmp_path):
    path = write_report(recorded(kind), tmp_path / "report.html")
    text = path.read_text(encoding="utf-8")
    page = Tags(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "link", "iframe", "object", "base", "form"})
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onerror", "onclick"} & set(attrs)]
    scripts = [attrs for tag, attrs in page.tags if tag == "script"]
    assert len(scripts) == (1 if kind == "unobserved" else 3)
    assert "Content-Security-Policy" in text
    assert path.stat().st_size < 2_500_000
    assert os.listdir(tmp_path) == ["report.html"]


def test_hostile_text_is_shown_as_text(recorded, tmp_path):
    text = write_report(recorded("hostile"), tmp_path / "report.html").read_text(encoding="utf-8")
    page = Tags(text)
    assert recordings.HOSTILE[0] in page.texts
    assert recordings.HOSTILE[1] in page.texts
    assert recordings.HOSTILE[3] in page.texts


def test_findings_are_shown_when_there_are_some(recorded, tmp_path):
    finding = {
        "cause": "recurrent-gain", "confidence": 0.93, "where": "rnn.weight_hh_l0", "step": 2, "proven": None,
        "summary": "The recurrent weights <b>amplify</b>.",
        "evidence": {"lyapunov_exponent": 0.31, "worst": "inf"},
        "remedies": ["orthogonal-recurrent-init"], "line": "train.py:12",
        "measured": [{"quantity": "exponent", "where": "rnn", "value": 0.31, "limit": "at most 0.1", "reason": "", "beyond": True}],
    }  # fmt: skip
    from steadygrad.diagnosis import summarize

    run = recorded("stormy")
    summary = {**summarize(run), "findings": [finding]}
    text = write_report(run, tmp_path / "report.html", summary=summary).read_text(encoding="utf-8")
    assert "93 % sure, at rnn.weight_hh_l0" in text
    assert "&lt;b&gt;amplify" in text
    assert "lyapunov_exponent <b>0.31</b>" in text
    assert "orthogonal-recurrent-init" in text
    assert "sg.init.orthogonal_recurrent_(model, nearest=True)" in text
    assert "train.py:12" in text
    assert "exponent, rnn <b>0.31</b> limit: at most 0.1" in text
    without = write_report(run, tmp_path / "without.html").read_text(encoding="utf-8")
    assert "Findings" not in without


def test_a_report_of_a_run_still_being_written(tmp_path):
    path = create_run(tmp_path, "train", "protect", ("python", "train.py"))
    recorder = Recorder(path / "rank0-1.db", pytest.fail)
    recorder.optimizer(recordings.info(0, recordings.names(4)))
    for step in range(50):
        record = StepRecord(0, step, 1e9 + step, 1.0, 0.1, 2.0, 2.0, 1.0, "")
        recorder.step(record, np.ones(4, np.float32).tobytes())
        if step in (10, 40):
            recorder.flush()
            text = write_report(path, tmp_path / "report.html").read_text(encoding="utf-8")
            assert "not ended" in text
    recorder.close()
    assert write_report(str(path), str(tmp_path / "report.html")).exists()


def test_an_unwritable_path_is_one_clear_line_and_leaves_nothing_behind(recorded, tmp_path):
    for target in (tmp_path / "no" / "such" / "folder.html", tmp_path):
        with pytest.raises(RecordingError) as raised:
            write_report(recorded("healthy"), target)
        assert str(raised.value).startswith(f"cannot write the report {target}: ")
        assert "\n" not in str(raised.value)
    assert os.listdir(tmp_path) == []


def test_an_existing_report_stays_whole_when_the_new_one_cannot_be_written(recorded, tmp_path, monkeypatch):
    path = write_report(recorded("healthy"), tmp_path / "report.html")
    before = path.read_bytes()

    def full(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", full)
    with pytest.raises(RecordingError, match="No space left on device"):
        write_report(recorded("stormy"), path)
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["report.html"]


def test_a_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(NotARun):
        write_report(tmp_path, tmp_path / "report.html")


@pytest.mark.parametrize("missing", ["bokeh", "jinja2"])
def test_a_missing_extra_is_one_clear_line(missing, recorded, tmp_path):
    script = (
        "import sys\n"
        f"sys.modules[{missing!r}] = sys.modules['torch'] = None\n"
        "import steadygrad.report as report\n"
        "from steadygrad.errors import MissingExtra\n"
        f"run = {str(recorded('healthy').folder)!r}\n"
        "for call in (report.require_ui, lambda: report.write_report(run, 'x.html')):\n"
        "    try: call()\n"
        "    except MissingExtra as error: print(error)\n"
    )
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout.splitlines(), done.stderr) == ([MISSING, MISSING], "")
    assert os.listdir(tmp_path) == []
    assert MissingExtra.exit_status == 2
    require_ui()


def test_a_report_imports_no_torch(recorded, tmp_path):
    script = (
        "import sys\n"
        "from steadygrad.report import write_report\n"
        f"write_report({str(recorded('stormy').folder)!r}, 'report.html')\n"
        "print('torch' in sys.modules)\n"
    )
    command = [sys.executable, "-W", "error", "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("False\n", "")


def test_public_names():
    assert steadygrad.report.__all__ == ["require_ui", "write_report", "write_trials"]


def test_the_image_tells_numbers_zero_nothing_nan_and_infinity_apart():
    shades = Shades(low=-16.0, high=8.0, smallest=-30.0, largest=20.0)
    values = np.array([[1e-8, 1.0, 1e8, 1e20, 0.0, -1.0, np.nan, np.inf, 1e-30]], np.float32)
    image = shades.encode(values)[0]
    np.testing.assert_allclose(image[:4], [-8, 0, 8, 20], rtol=1e-5)
    mapper = shades.mapper()
    slot = (mapper.high - mapper.low) / len(mapper.palette)
    assert [int((image[place] - mapper.low) // slot) for place in (7, 4, 8)] == [0, 1, 2]
    assert image[5] == NOTHING < mapper.low
    assert np.isnan(image[6])
    assert -16 < image[8] < -15.99


def test_one_explosion_leaves_the_shades_of_the_training_before_it():
    values = np.geomspace(0.1, 10, 1000).reshape(10, 100)
    values[3, 50] = 1e38
    shades = Shades.of(values)
    assert shades.high - shades.low < 4
    assert shades.ends()[1].startswith("≥ ")


def test_boxes_cover_exactly_the_cells_of_a_mask():
    rng = np.random.default_rng(0)
    for density in (0.0, 0.02, 0.5, 1.0):
        hits = rng.random((30, 40)) < density
        covered = np.zeros_like(hits)
        for begin, end, top, bottom in zip(*boxes(hits), strict=True):
            assert not covered[top:bottom, begin:end].any()
            covered[top:bottom, begin:end] = True
        assert (covered == hits).all()


@pytest.mark.parametrize("fill", [np.nan, np.inf, 0.0, -1.0, 1.0, 1e-45, 3e38])
def test_a_map_of_one_kind_of_value_can_be_drawn(fill):
    from steadygrad._view import Heat

    heat = Heat("grad_norm", 0, 4, ("a", "b"), np.full((2, 4), fill, np.float32), 2, 1, False)
    shades = Shades.of(heat.values)
    assert np.isfinite([shades.low, shades.high]).all()
    assert shades.low < shades.high
    assert heatmap(StepAxis.of(4, "steps-4"), heat) is not None


def test_a_long_run_is_quick_and_its_page_small(tmp_path):
    run = recordings.healthy(tmp_path, steps=20_000, tensors=30)
    write_report(run, tmp_path / "first.html")
    started = time.perf_counter()
    path = write_report(run, tmp_path / "report.html")
    assert time.perf_counter() - started < 5
    assert path.stat().st_size < 3_000_000
