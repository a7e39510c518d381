"""The page of a check in a real browser: offline, silent, drawn, and deaf to what is hidden in names."""

import pytest

import steadygrad as sg

from ..report import checks
from .opened import Opened

pytestmark = pytest.mark.ui


@pytest.fixture
def page(browser, tmp_path):
    contexts = []

    def open_page(result, width=1300, **options):
        path = sg.write_report(result, tmp_path / "check.html")
        context = browser.new_context(offline=True, viewport={"width": width, "height": 900}, **options)
        contexts.append(context)
        return Opened(context.new_page(), path)

    yield open_page
    for context in contexts:
        context.close()


INK = """(figure) => {
    const canvases = (node) => [
        ...(node.tagName == "CANVAS" ? [node] : []),
        ...[...node.children, ...(node.shadowRoot?.children ?? [])].flatMap(canvases),
    ]
    const colors = {}
    for (const canvas of canvases(document.querySelector(`#${figure} .plot`))) {
        const {data} = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height)
        for (let i = 0; i < data.length; i += 4) {
            const color = [data[i], data[i + 1], data[i + 2]].join()
            colors[color] = (colors[color] ?? 0) + 1
        }
    }
    return colors
}"""
BLUE, ORANGE, RED, INF = "58,127,196", "224,138,0", "229,0,60", "255,140,0"


@pytest.mark.parametrize("width", [400, 1300])
@pytest.mark.parametrize("kind", checks.KINDS)
def test_a_page_opens_offline_without_an_error_or_a_request(kind, width, page):
    opened = page(checks.KINDS[kind](), width)
    assert opened.troubles == []
    assert opened.tab.evaluate("document.documentElement.scrollWidth") <= width
    for plot in opened.tab.locator(".plot").all():
        assert plot.bounding_box()["height"] > 60


def test_curves_and_marks_are_drawn(page):
    opened = page(checks.overflowing())
    signal, gradient = (opened.tab.evaluate(INK, figure) for figure in ("signal", "gradient"))
    assert signal.get(BLUE, 0) > 50
    assert signal.get(RED, 0) > 50
    assert signal.get(INF, 0) > 8
    assert gradient.get(RED, 0) > 50
    time = page(checks.recurrent()).tab.evaluate(INK, "time")
    assert min(time.get(BLUE, 0), time.get(ORANGE, 0)) > 50


def test_the_figures_of_depth_share_their_axis(page):
    opened = page(checks.recurrent())
    (signal, *_), (gradient, *_), (time, *_) = opened.ranges()
    assert signal == gradient != time


@pytest.mark.smoke
def test_a_tooltip_names_the_layer_and_its_numbers(page):
    opened = page(checks.exploding())
    words = opened.tooltip("signal", 3, 0.5).split()
    layer = checks.exploding().layers[2]
    assert layer.name in words
    assert f"{layer.output_rms:.4g}" in words
    assert "init-gain" in opened.tooltip("gradient", 1, 0.5)
    assert "NaN" in page(checks.overflowing()).tooltip("gradient", 60, 0.5)


def test_hostile_names_run_nothing(page):
    opened = page(checks.hostile())
    for place, name in enumerate(checks.HOSTILE[:4], start=1):
        assert name in opened.tooltip("signal", place, 0.5)
    assert checks.HOSTILE[0] in opened.tooltip("time", 2, 0.5)
    assert opened.tab.locator("img").count() == 0
    assert opened.tab.locator("script").count() == 3
    assert opened.troubles == []


def test_a_script_that_is_not_ours_is_not_run(page):
    opened = page(checks.sound())
    opened.tab.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.ran = true'}))"
    )
    assert not opened.tab.evaluate("window.ran ?? false")
    assert any("Content Security Policy" in trouble for trouble in opened.troubles)


@pytest.mark.parametrize(("scheme", "color"), [("light", "#e5003c"), ("dark", "#ff5a80")])
def test_words_in_a_figure_take_the_colour_of_the_page(scheme, color, page):
    opened = page(checks.exploding(), color_scheme=scheme)
    flags = "Bokeh.documents[0].roots()[0].center.filter((each) => each.name == 'flag').map((each) => each.text_color)"
    assert opened.tab.evaluate(flags) == [color]
