"""The page of a check: whatever the result holds, it is shown, escaped, in one file."""

import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest

import steadygrad as sg
from steadygrad.findings import CheckResult, Finding
from steadygrad.report.check_figures import check_panels, named_layers
from steadygrad.report.marks import EdgeMark
from steadygrad.report.profile import NAMED, place_axis, profile, tail

from . import checks
from .test_write_report import Tags


@pytest.mark.parametrize("kind", checks.KINDS)
def test_every_result_gets_a_self_contained_page(kind, tmp_path):
    path = sg.write_report(checks.KINDS[kind](), tmp_path / "check.html")
    text = path.read_text(encoding="utf-8")
    page = Tags(text)
    assert {tag for tag, _ in page.tags}.isdisjoint({"img", "link", "iframe", "object", "base", "form"})
    assert not [attrs for _, attrs in page.tags if {"src", "href", "onerror", "onclick"} & set(attrs)]
    assert len([tag for tag, _ in page.tags if tag == "script"]) == (1 if kind == "empty" else 3)
    assert [attrs for tag, attrs in page.tags if attrs.get("content", "").startswith("default-src 'none'")]
    assert path.stat().st_size < 3_000_000
    assert os.listdir(tmp_path) == ["check.html"]


@pytest.mark.parametrize("kind", checks.KINDS)
def test_the_page_of_a_result_read_back_from_json_is_the_same(kind, tmp_path):
    result = checks.KINDS[kind]()
    again = CheckResult.from_dict(json.loads(json.dumps(result.to_dict(), allow_nan=False)))
    texts = [Tags(sg.write_report(each, tmp_path / "check.html").read_text("utf-8")).texts for each in (result, again)]
    shown = [[part for part in text if "Bokeh" not in part] for text in texts]  # figures have ids of their own
    assert shown[0] == shown[1]


def test_the_verdict_is_told_and_no_more_than_was_measured(tmp_path):
    def told(result):
        text = sg.write_report(result, tmp_path / "check.html").read_text(encoding="utf-8")
        return text[text.index('<span class="badge') :][:200]

    assert 'badge sound">sound' in told(checks.sound())
    assert 'badge findings">1 finding<' in told(checks.exploding())
    assert 'badge findings">5 findings' in told(checks.hostile())
    assert 'badge unobserved">not measured' in told(checks.empty())


def test_findings_measurements_layers_and_what_is_missing_are_all_there(tmp_path):
    result = checks.exploding()
    finding = result.findings[0]
    text = sg.write_report(result, tmp_path / "check.html").read_text(encoding="utf-8")
    texts = Tags(text).texts
    for part in (finding.cause, finding.summary, *finding.remedies, *(each.name for each in result.layers)):
        assert part in texts
    for each in result.measurements:
        assert {each.quantity, each.limit} <= set(texts)
    assert text.count('<tr class="beyond"><td class="mark">') == sum(each.beyond for each in result.measurements) > 0
    single = Tags(sg.write_report(checks.overflowing(), tmp_path / "check.html").read_text(encoding="utf-8")).texts
    assert {"NaN", "Inf"} <= set(single)


def test_what_was_not_measured_is_said_with_its_reason(tmp_path):
    result = checks.hostile()
    texts = Tags(sg.write_report(result, tmp_path / "check.html").read_text(encoding="utf-8")).texts
    assert texts.count(checks.HOSTILE[0]) > 10
    assert "Not measured" in texts


def test_hostile_names_stay_text(tmp_path):
    text = sg.write_report(checks.hostile(), tmp_path / "check.html").read_text(encoding="utf-8")
    page = Tags(text)
    for name in checks.HOSTILE[:4]:
        assert name in page.texts
    assert "<b>bold" not in text.partition("<script>")[0]
    assert not [tag for tag, _ in page.tags if tag == "img"]


def test_many_layers_are_folded_and_few_stand_open(tmp_path):
    def opened(result):
        return "<details open>" in sg.write_report(result, tmp_path / "check.html").read_text(encoding="utf-8")

    assert opened(checks.sound())
    assert not opened(checks.deep(300))


def test_the_figures_are_those_for_which_there_are_numbers():
    def keys(result):
        return [panel.key for panel in check_panels(result)]

    assert keys(checks.empty()) == []
    assert keys(checks.sound()) == ["signal", "gradient"]
    assert keys(checks.recurrent()) == ["signal", "gradient", "time"]


def _edge(plot):
    """The marks at the edges: place, text, marker."""
    sources = [each.data_source.data for each in plot.renderers if "height" in each.data_source.data]
    return [] if not sources else list(zip(sources[0]["place"], sources[0]["text"], sources[0]["marker"], strict=True))


def test_no_number_is_dropped():
    values = (1.0, math.nan, math.inf, -math.inf, 0.0, None, 2.0)
    from steadygrad.report.profile import Profile

    names = [f"layer {i}" for i in range(7)]
    plot = profile(place_axis(7, "places"), [Profile("rms", "#000000", values)], {"layer": names}, height=200)
    assert _edge(plot) == [
        ("layer 1", "rms NaN", "x"),
        ("layer 2", "rms Inf", "triangle"),
        ("layer 3", "rms -Inf", "inverted_triangle"),
        ("layer 4", "rms 0", "inverted_triangle"),
    ]
    line = plot.renderers[0].data_source.data["y"]
    np.testing.assert_array_equal(line, [1.0, np.nan, np.nan, np.nan, np.nan, np.nan, 2.0])
    tooltip = plot.renderers[-1].data_source.data
    assert tooltip["row1"] == ["1", "NaN", "Inf", "-Inf", "0", "–", "2"]


def test_an_overflow_is_marked_at_every_layer_after_it():
    signal, gradient = (panel.plot for panel in check_panels(checks.overflowing()))
    layers = checks.overflowing().layers
    assert len(_edge(signal)) == sum(not math.isfinite(layer.output_rms) for layer in layers) > 10
    assert len(_edge(gradient)) == sum(
        layer.grad_rms is not None and not math.isfinite(layer.grad_rms) for layer in layers
    )


def test_time_gradients_of_unequal_length_end_together_on_the_right():
    from dataclasses import replace

    result = replace(checks.recurrent(), time_gradients={"a": (1.0, 2.0), "b": (1.0, 2.0, 3.0, 4.0)})
    plot = check_panels(result)[-1].plot
    short = plot.renderers[0].data_source.data["y"]
    np.testing.assert_array_equal(short, [np.nan, np.nan, 1.0, 2.0])


def test_the_layers_a_finding_names_are_marked():
    result = checks.exploding()
    assert named_layers(result.layers, result.findings) == {0: "init-gain"}
    elsewhere = [
        Finding("dead-units", 0.9, f"{result.layers[3].name}.weight", ""),
        Finding("recurrent-gain", 0.9, f"{result.layers[3].name} l0", ""),
        Finding("nonfinite-data", 0.9, "inputs[0]", ""),
    ]
    assert named_layers(result.layers, elsewhere) == {3: "dead-units, recurrent-gain"}


def test_a_layer_is_not_taken_for_one_whose_name_begins_alike():
    result = checks.deep(12)
    assert list(named_layers(result.layers, [Finding("dead-units", 0.9, "blocks.1.fc", "")])) == [1]


def test_names_stand_on_the_axis_as_long_as_they_fit():
    def ticker(depth):
        return type(check_panels(checks.deep(depth))[1].plot.xaxis[0].ticker).__name__

    assert ticker(NAMED) == "FixedTicker"
    assert ticker(NAMED + 1) == "BasicTicker"


def test_a_long_name_is_cut_at_a_dot_where_it_has_one():
    assert tail("a" * 40) == "…" + "a" * 23
    assert tail("model.encoder.layers.11.attention.query") == "…11.attention.query"
    assert tail("x." * 11 + "y") == "x." * 11 + "y"
    assert len(tail("a" * 30 + ".")) == 24


def test_a_mark_knows_its_edge():
    assert [EdgeMark.of(kind, 0, "", "").top for kind in ("NaN", "Inf", "-Inf")] == [True, True, False]


def test_the_page_needs_no_torch(tmp_path):
    (tmp_path / "check.json").write_text(json.dumps(checks.exploding().to_dict()))
    script = (
        "import json, sys\n"
        "sys.modules['torch'] = None\n"
        "from steadygrad import write_report\n"
        "from steadygrad.findings import CheckResult\n"
        "print(write_report(CheckResult.from_dict(json.load(open('check.json'))), 'check.html'))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=60, cwd=tmp_path)
    assert (done.stdout, done.stderr) == ("check.html\n", "")
