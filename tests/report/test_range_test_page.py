"""The page of a range test: one file, whatever the record holds, and open in a browser without a word."""

import math
import shutil

import pytest

import steadygrad as sg
from steadygrad.records import RangeTest

CHROMIUM = next(filter(None, map(shutil.which, ("/usr/bin/chromium", "chromium", "chromium-browser"))), None)

LRS = tuple(1e-5 * 10 ** (i / 10) for i in range(50))
FALLING = tuple(2.0 - 1.5 * i / 49 for i in range(50))

RECORDS = {
    "diverged": RangeTest(
        LRS, FALLING[:-2] + (50.0, math.nan), FALLING[:-1] + (math.nan,), LRS[-1],
        {"steepest descent": 1e-2, "a tenth of divergence": 1.2e-2}, 1e-2, "the loss falls fastest at 0.01",
    ),
    "calm": RangeTest(LRS, FALLING, FALLING, None, {"steepest descent": 1e-3}, 1e-3, "it did not run away"),
    "flat": RangeTest(LRS[:2], (1.0, 1.0), (1.0, 1.0), None, {}, None, "the loss never fell"),
    "at once": RangeTest(LRS[:1], (math.inf,), (math.inf,), LRS[0], {}, None, "<script>alert(1)</script>"),
}  # fmt: skip


@pytest.mark.parametrize("name", RECORDS)
def test_every_record_makes_a_page_that_may_load_nothing(name, tmp_path):
    path = sg.write_report(RECORDS[name], tmp_path / "test.html")
    text = path.read_text()
    assert "Learning-rate range test" in text
    assert "<script>alert" not in text
    assert "default-src &#39;none&#39;" in text


@pytest.mark.ui
@pytest.mark.parametrize("name", RECORDS)
def test_it_opens_offline_without_an_error(name, tmp_path):
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine")
    playwright = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    path = sg.write_report(RECORDS[name], tmp_path / "test.html")
    troubles = []
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        tab = browser.new_context(offline=True, viewport={"width": 1100, "height": 800}).new_page()
        tab.on("console", lambda message: message.type in {"error", "warning"} and troubles.append(message.text))
        tab.on("pageerror", lambda error: troubles.append(str(error)))
        tab.on("request", lambda request: request.url.startswith("http") and troubles.append(request.url))
        tab.goto(path.as_uri())
        tab.wait_for_selector("html[data-ready]", state="attached", timeout=20_000)
        tab.wait_for_timeout(300)
        assert tab.evaluate("document.documentElement.scrollWidth") <= 1100
        assert tab.evaluate("Bokeh.documents[0].roots()[0].x_scale.type") == "LogScale"
        assert tab.locator(".plot").bounding_box()["height"] > 300
        browser.close()
    assert troubles == []
