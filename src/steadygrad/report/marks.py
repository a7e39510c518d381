"""Marks at the edges of a figure: what is not finite, or off the scale, is drawn where no scale can lose it."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from bokeh.models import ColumnDataSource, LinearScale, Range1d

from .._view.model import INF, NAN
from .theme import INF_COLOR, NAN_COLOR, add_hover

COLORS = {NAN: NAN_COLOR, INF: INF_COLOR}
MARKERS = {NAN: "x", INF: "triangle"}


@dataclass(frozen=True)
class EdgeMark:
    """One mark: where, what a tooltip calls that place and says about it. `marker` is None for an arrow outwards."""

    x: float
    place: str
    text: str
    color: str
    top: bool
    marker: str | None = None

    @classmethod
    def of(cls, kind: str, x: float, place: str, text: str) -> "EdgeMark":
        """The mark of a value that is no number; `kind` is NAN, INF or MINUS_INF."""
        return cls(x, place, text, COLORS.get(kind, INF_COLOR), kind in MARKERS, MARKERS.get(kind))


def draw_edge_marks(plot: Any, axis: str, marks: Sequence[EdgeMark]) -> None:
    """Draw marks at the upper and the lower edge of a figure; `axis` is what its places are, such as "step"."""
    plot.extra_y_ranges = {"edge": Range1d(start=0, end=1)}
    plot.extra_y_scales = {"edge": LinearScale()}
    if not marks:
        return
    source = ColumnDataSource(
        {
            "x": [mark.x for mark in marks],
            "height": [0.95 if mark.top else 0.05 for mark in marks],
            "marker": [mark.marker or ("triangle" if mark.top else "inverted_triangle") for mark in marks],
            "color": [mark.color for mark in marks],
            "place": [mark.place for mark in marks],
            "text": [mark.text for mark in marks],
        }
    )
    drawn = plot.scatter(
        "x",
        "height",
        source=source,
        marker="marker",
        color="color",
        line_width=1.8,
        size=8,
        y_range_name="edge",
    )
    add_hover(plot, drawn, [(axis, "@place"), ("", "@text")])
