"""The report in a real browser: offline, silent, linked, and deaf to what is hidden in names."""

import pytest

from steadygrad.report import write_report

from ..report import recordings
from .opened import Opened

pytestmark = pytest.mark.ui


@pytest.fixture
def report(browser, tmp_path):
    contexts = []

    def open_report(run, **options):
        path = write_report(run, tmp_path / "report.html")
        context = browser.new_context(offline=True, viewport={"width": 1300, "height": 900}, **options)
        contexts.append(context)
        return Opened(context.new_page(), path)

    yield open_report
    for context in contexts:
        context.close()


@pytest.mark.parametrize("kind", ["healthy", "stormy", "crashed", "unobserved", "two_optimizers"])
def test_a_report_opens_offline_without_an_error_or_a_request(kind, report, tmp_path):
    opened = report(getattr(recordings, kind)(tmp_path))
    assert opened.troubles == []
    assert opened.tab.locator(".badge").inner_text() in {"healthy", "recovered", "crashed", "unobserved"}
    for width in (1000, 1600):
        opened.tab.set_viewport_size({"width": width, "height": 900})
        opened.tab.wait_for_timeout(200)
        assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    assert opened.troubles == []


@pytest.mark.smoke
def test_all_figures_share_one_axis_and_follow_a_drag_a_wheel_and_the_buttons(report, tmp_path):
    opened = report(recordings.stormy(tmp_path))
    assert len({identity for identity, *_ in opened.ranges()}) == 1
    assert len(opened.ranges()) == 6
    whole = opened.ranges()[0]
    x, y = opened.point("o0-loss", 150, 0.5)
    opened.tab.mouse.move(x, y)
    opened.tab.keyboard.down("Control")
    opened.tab.mouse.wheel(0, -600)
    opened.tab.keyboard.up("Control")
    opened.tab.wait_for_timeout(300)
    zoomed = opened.ranges()[-1]
    assert zoomed[2] - zoomed[1] < whole[2] - whole[1]
    opened.tab.mouse.down()
    opened.tab.mouse.move(x + 120, y, steps=4)
    opened.tab.mouse.up()
    opened.tab.wait_for_timeout(200)
    panned = opened.ranges()
    assert panned[-1][1] < zoomed[1]
    assert len({tuple(each) for each in panned}) == 1
    opened.tab.get_by_text("Show all steps").click()
    assert opened.ranges()[0] == whole
    opened.tab.get_by_role("button", name="Zoom").click()
    x, y = opened.point("o0-norm", 100, 0.5)
    opened.tab.mouse.move(x, y)
    opened.tab.mouse.down()
    opened.tab.mouse.move(opened.point("o0-norm", 200, 0.5)[0], y, steps=4)
    opened.tab.mouse.up()
    opened.tab.wait_for_timeout(200)
    assert opened.ranges()[-1][1:] == pytest.approx([100, 200], abs=3)
    opened.tab.locator("tbody .step").first.click()
    assert opened.ranges()[0][2] < 60
    assert opened.troubles == []


def test_tooltips_name_the_tensor_the_step_and_what_is_no_number(report, tmp_path):
    opened = report(recordings.stormy(tmp_path))
    row = 1 / 40
    names = recordings.names(40)
    for step, tensor, value in ((121, 0, "NaN"), (180, 5, "Inf"), (10, 20, "no gradient"), (200, 3, "0")):
        words = opened.tooltip("o0-grad_norm", step, (tensor + 0.5) * row).split()
        assert names[tensor] in words
        assert str(step) in words
        assert " ".join(words).endswith(f"grad_norm: {value}")
    assert "nonfinite-gradient" in opened.tooltip("o0-events", 180, 0.6 / 3)
    assert "before clipping" in opened.tooltip("o0-norm", 150, 0.5)
    assert opened.troubles == []


def test_non_finite_values_are_seen_as_colours_of_their_own(report, tmp_path):
    opened = report(recordings.stormy(tmp_path))
    red, orange = [229, 0, 60], [255, 140, 0]
    count = """([figure, color]) => {
        const canvases = (node) => [
            ...(node.tagName == "CANVAS" ? [node] : []),
            ...[...node.children, ...(node.shadowRoot?.children ?? [])].flatMap(canvases),
        ]
        let hits = 0
        for (const canvas of canvases(document.querySelector(`#${figure} .plot`))) {
            const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
            for (let i = 0; i < data.length; i += 4) hits += color.every((value, k) => data[i + k] == value)
        }
        return hits
    }"""
    for figure, colors in (("o0-grad_norm", (red, orange)), ("o0-loss", (red,)), ("o0-norm", (red, orange))):
        for color in colors:
            assert opened.tab.evaluate(count, [figure, color]) >= 8, (figure, color)


def test_hostile_names_run_nothing(report, tmp_path):
    opened = report(recordings.hostile(tmp_path))
    shown = [opened.tooltip("o0-grad_norm", 14, (row + 0.5) / 6) for row in range(6)]
    assert all(name in text for name, text in zip(recordings.HOSTILE[:5], shown, strict=False))
    names = sorted(recordings.HOSTILE)
    shown = [opened.tooltip("o0-events", 8 + recordings.HOSTILE.index(n), (names.index(n) + 0.6) / 12.2) for n in names]
    assert all(name in text for name, text in zip(names[:-2], shown, strict=False))
    assert opened.tab.locator("img").count() == 0
    assert opened.tab.locator("script").count() == 3
    assert opened.troubles == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_figures_take_the_colour_of_the_page(scheme, report, tmp_path):
    opened = report(recordings.crashed(tmp_path), color_scheme=scheme)
    ink = opened.tab.evaluate("Bokeh.documents[0].roots()[0].below[0].major_label_text_color")
    assert ink == {"light": "#5a6272", "dark": "#a2aab8"}[scheme]
