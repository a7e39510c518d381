"""The page of a check before step 0: what was found, and every measurement beside its limit."""

from .._i18n import say, say_count
from ..findings import CheckResult
from .check_figures import check_panels, named_layers
from .html import document

OPEN_LAYERS = 24
"""Layers whose list stands open; a longer one opens at a click."""

ZOOMED = 40
"""Layers or time steps from which a figure is worth zooming into."""


def render_check(result: CheckResult) -> str:
    """The page as one self-contained HTML document."""
    panels = check_panels(result)
    longest = max(map(len, (result.layers, *result.time_gradients.values())))
    return document(
        "check.html.jinja",
        {panel.key: panel.plot for panel in panels},
        result=result,
        reason=_reason(result),
        panels=panels,
        beyond=sum(each.beyond for each in result.measurements),
        named=named_layers(result.layers, result.findings),
        zoomed=longest > ZOOMED,
        open_layers=OPEN_LAYERS,
    )


def _reason(result: CheckResult) -> str:
    """The verdict in a sentence."""
    if not result.findings:
        if not result.measurements:
            return say("Nothing was measured: this page says nothing about the model, neither good nor bad.")
        beyond = sum(each.beyond for each in result.measurements)
        if not beyond:
            return say("Nothing was found: every measurement is within its limit.")
        if result.skipped:
            return say_count(
                "Nothing was found. One number is beyond its limit, without an effect that was seen, and not "
                "everything could be tried: see below.",
                "Nothing was found. {count} numbers are beyond their limits, without an effect that was seen, and not "
                "everything could be tried: see below.",
                beyond,
            )
        return say_count(
            "Nothing was found. One number is beyond its limit, without an effect that was seen.",
            "Nothing was found. {count} numbers are beyond their limits, without an effect that was seen.",
            beyond,
        )
    first, *others = result.findings
    place = say("{cause} at {where}", cause=first.cause, where=first.where) if first.where else first.cause
    return say("{cause}, and {count} more", cause=place, count=len(others)) if others else place
