"""What the figures share: colours, sizes, tools, the axis of steps.

The colours differ for every kind of colour vision: the map runs in one hue from pale to dark, so that crimson
and orange are free for NaN and infinity. On viridis, magenta is lost to people who confuse red and green.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    CrosshairTool,
    HoverTool,
    NumeralTickFormatter,
    PanTool,
    Range1d,
    Span,
    WheelZoomTool,
)
from bokeh.plotting import figure

BLUE, ORANGE, INK, GREY = "#3a7fc4", "#e08a00", "#4a5160", "#8a919e"
NAN_COLOR, INF_COLOR, ZERO_COLOR = "#e5003c", "#ff8c00", "#fff3c4"
NOTHING_COLOR = "rgba(128, 134, 146, 0.22)"
MAP_STOPS = ("#eef4f7", "#c9e1ea", "#93c6dc", "#55a4cb", "#2b7fb8", "#1d5a9c", "#1a3a78", "#141f4d")

FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', Arial, sans-serif"
MONO = "ui-monospace, 'SF Mono', Menlo, Consolas, 'Liberation Mono', monospace"

GUTTER = 128
"""Pixels left of the curves for their headings (also in style.css): the frames of all figures line up."""

AXIS = 64
"""Pixels for the tick labels of the curves; the map has GUTTER + AXIS for the names of its tensors."""


@dataclass(frozen=True)
class StepAxis:
    """The one axis of steps, and the one crosshair, of all figures that show the same steps."""

    x_range: Range1d
    span: Span

    @classmethod
    def of(cls, steps: int, name: str) -> "StepAxis":
        """An axis over so many steps; `name` is how the page's script finds it."""
        margin = max(0.5, 0.004 * steps)
        start, end = -margin, max(1, steps) - 1 + margin
        x_range = Range1d(start=start, end=end, bounds=(start, end), min_interval=min(4.0, end - start), name=name)
        return cls(x_range, Span(dimension="height", line_color=GREY, line_width=1, line_dash="dotted"))


def step_figure(axis: StepAxis, height: int, left: int = AXIS, **options: Any) -> Any:
    """An empty figure over the axis of steps: dragging pans, ctrl + wheel zooms, the page has the buttons."""
    pan = PanTool(dimensions="width")
    wheel = WheelZoomTool(dimensions="width", modifiers="ctrl")
    plot = figure(
        x_range=axis.x_range,
        height=height,
        sizing_mode="stretch_width",
        min_width=300,
        toolbar_location=None,
        tools=[pan, wheel, BoxZoomTool(dimensions="width"), CrosshairTool(overlay=axis.span)],
        active_drag=pan,
        active_scroll=wheel,
        min_border_left=left,
        min_border_right=14,
        min_border_top=6,
        min_border_bottom=24,
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
        **options,
    )
    plot.xaxis.formatter = NumeralTickFormatter(format="0,0")
    plot.xaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=10, num_minor_ticks=0)
    for each in (*plot.xaxis, *plot.yaxis):
        each.axis_line_color = None
        each.major_tick_line_color = None
        each.minor_tick_line_color = None
        each.major_label_text_font = FONT
        each.major_label_text_font_size = "11px"
        each.major_label_text_color = INK
    plot.xgrid.grid_line_color = None
    plot.ygrid.grid_line_color = GREY
    plot.ygrid.grid_line_alpha = 0.22
    return plot


def add_hover(plot: Any, renderer: Any, rows: list[tuple[str, str]], **options: Any) -> None:
    """A tooltip of rows of label and value. Values are set as text by Bokeh, never as HTML."""
    plot.add_tools(HoverTool(renderers=[renderer], tooltips=rows, **options))


def palette(size: int = 255) -> list[str]:
    """The colours of the map from pale to dark.

    >>> palette(3)
    ['#eef4f7', '#4092c2', '#141f4d']
    """
    channels = np.array([[int(stop[i : i + 2], 16) for i in (1, 3, 5)] for stop in MAP_STOPS], float)
    place = np.linspace(0, len(MAP_STOPS) - 1, size)
    mixed = np.stack([np.interp(place, np.arange(len(MAP_STOPS)), channel) for channel in channels.T], axis=1)
    return ["#" + "".join(f"{round(value):02x}" for value in color) for color in mixed]
