"""The page's HTML: a template filled in, with every script named in a policy that forbids all others.

The data comes from recorded runs, so names and messages in it are whatever a script chose. Jinja escapes
text, Bokeh escapes data, and should either fail, the policy lets the browser run only
scripts whose hashes it lists, and load nothing from anywhere.
"""

import base64
import hashlib
import time
from collections.abc import Mapping
from functools import lru_cache
from importlib import metadata, resources
from typing import Any

from bokeh.embed import components
from bokeh.resources import Resources
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from .._i18n import language, say, say_count
from .._view import Page
from .._view.events import number
from ..diagnosis import card
from ..remedies import remedy
from .figures import panels
from .theme import INF_COLOR, MAP_STOPS, NAN_COLOR, NOTHING_COLOR, ZERO_COLOR

OPEN_TENSORS = 24
"""Tensors whose list stands open; a longer one opens at a click."""

LISTED_TENSORS = 5_000
"""Tensors listed at the most."""


def render(page: Page) -> str:
    """The page as one self-contained HTML document."""
    figures = panels(page.sections)
    return document(
        "report.html.jinja",
        {panel.key: panel.plot for each in figures.values() for panel in each},
        page=page,
        figures=figures,
        cells=_cells(),
        gradient=", ".join(MAP_STOPS),
        open_tensors=OPEN_TENSORS,
        listed_tensors=LISTED_TENSORS,
    )


def _cells() -> dict[str, tuple[str, str]]:
    """What the colours of a map's cells mean, that are no numbers."""
    return {
        "nan": ("NaN", NAN_COLOR),
        "inf": ("Inf", INF_COLOR),
        "zero": (say("exactly 0"), ZERO_COLOR),
        "nothing": (say("no gradient"), NOTHING_COLOR),
    }


def document(template: str, plots: Mapping[str, Any], **values: Any) -> str:
    """A template filled in with figures (their places by key in `divs`) and values, as one self-contained document."""
    data, divs = components(dict(plots), wrap_script=False, wrap_plot_info=True) if plots else ("", {})
    # What UTF-8 cannot hold (half a surrogate pair in a name) must not change a script after it was hashed.
    data = _encodable(data)
    scripts = [_bokeh() if plots else "", _own("page.js"), data]
    text = (
        _environment()
        .get_template(template)
        .render(
            **values,
            divs={key: Markup(div) for key, div in divs.items()},
            scripts=[Markup(script) for script in scripts if script],
            policy=_policy([script for script in scripts if script]),
            style=Markup(_own("style.css")),
            version=_version(),
            language=language(),
        )
    )
    return _encodable(text)


def _policy(scripts: list[str]) -> str:
    """A content security policy under which only these scripts run and nothing is fetched.

    Bokeh compiles the code of tick labels and tooltips in the browser, hence 'unsafe-eval'; it is ours.
    """
    hashes = []
    for script in scripts:
        digest = hashlib.sha256(script.encode("utf-8")).digest()
        hashes.append(f"'sha256-{base64.b64encode(digest).decode()}'")
    allowed = " ".join(["'unsafe-eval'", *hashes])
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; "
        "img-src data: blob:; font-src data:; base-uri 'none'; form-action 'none'"
    )


@lru_cache(maxsize=1)
def _bokeh() -> str:
    """BokehJS without widgets, tables, WebGL and MathJax: the figures use none of them."""
    return "\n".join(Resources(mode="inline", components=["bokeh"], log_level="warn").js_raw)


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("steadygrad.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(say=say, say_count=say_count)
    environment.filters["number"] = number
    environment.filters["moment"] = _moment
    environment.filters["evidence"] = _evidence
    environment.filters["remedy"] = remedy
    environment.filters["title_of"] = _title_of
    return environment


def _own(name: str) -> str:
    return (resources.files("steadygrad.report") / "templates" / name).read_text(encoding="utf-8")


def _encodable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _moment(seconds: Any) -> str:
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _evidence(value: object) -> str:
    """What a finding brings forward, for people: counts in full, other numbers rounded, lists with commas.

    >>> _evidence(16384), _evidence(0.123456), _evidence([1.0, float("nan")]), _evidence("sum")
    ('16,384', '0.1235', '1, NaN', 'sum')
    """
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_evidence, value))
    if isinstance(value, bool):
        return say("yes") if value else say("no")
    return f"{value:,}" if isinstance(value, int) else number(value)


def _title_of(cause: str) -> str:
    """What is wrong, in one sentence; nothing of a cause that only the check has."""
    about = card(cause)
    return "" if about is None else about.said().title


def _version() -> str:
    try:
        return metadata.version("steadygrad")
    except metadata.PackageNotFoundError:
        return ""
