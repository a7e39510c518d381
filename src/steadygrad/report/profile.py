"""Curves on a log scale over places in an order, layers or time steps, with a word for every place."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import (
    BoxAnnotation,
    ColumnDataSource,
    CustomJSTickFormatter,
    FixedTicker,
    HoverTool,
    Label,
    NoOverlap,
    Range1d,
    Span,
)

from .._view.events import number
from .curves import draw_lone_points, limits
from .marks import EdgeMark, draw_edge_marks
from .theme import FONT, GREY, MONO, NAN_COLOR, StepAxis, step_figure

NAMED = 48
"""Places that are named on the axis; of more, some are numbered."""

NAME_LENGTH = 24
"""Letters of a name on the axis."""

LEVEL = 4
"""Letters up to which names stand level; longer ones are turned."""

DECADES = 3.0
"""Powers of ten that a figure shows at the least: less would make a mountain of nothing."""

DOTTED = 60
"""Places up to which each is a dot on its curve."""

TOLD = 16
"""Curves of which a tooltip tells the values."""

LOW = 96
"""Pixels of a figure that has nothing but marks at its edges."""

FLAG_WORDS = 4
"""Flags whose words are written into the figure; of more, the tooltip says them."""


@dataclass(frozen=True)
class Profile:
    """One curve: a value for each place, None where there is none. NaN, infinity and 0 become marks at the edges."""

    label: str
    color: str
    values: Sequence[float | None]
    dash: str = "solid"


def place_axis(count: int, name: str) -> StepAxis:
    """An axis of the places 1 to `count`."""
    start, end = 0.5 - 0.02 * count, count + 0.5 + 0.02 * count
    x_range = Range1d(start=start, end=end, bounds=(start, end), min_interval=min(4.0, end - start), name=name)
    return StepAxis(x_range, Span(dimension="height", line_color=GREY, line_width=1, line_dash="dotted"))


def profile(
    axis: StepAxis,
    drawn: Sequence[Profile],
    told: Mapping[str, Sequence[str]],
    *,
    height: int,
    band: tuple[float, float] | None = None,
    flags: Mapping[int, str] | None = None,
    words: bool = False,
) -> Any:
    """A figure of profiles.

    Args:
        axis: the axis of places, see `place_axis`.
        drawn: the curves, all as long as there are places.
        told: what a tooltip says of each place besides the values; the first one names it.
        height: in pixels.
        band: values between which nothing is remarkable; the y axis reaches to both.
        flags: places that are to be seen, from 0, and why.
        words: whether the flags' words are written into the figure.

    Returns:
        The figure.
    """
    values = [np.array([np.nan if each is None else each for each in one.values], float) for one in drawn]
    finite = np.concatenate([each[np.isfinite(each)] for each in values] + [np.array(band or (), float)])
    height = height if (finite > 0).any() else LOW
    low, high = _wide(*limits(finite, log=True))
    plot = step_figure(axis, height, y_axis_type="log", y_range=Range1d(start=low, end=high), lod_threshold=None)
    plot.yaxis.ticker.desired_num_ticks = max(2, height // 45)
    plot.yaxis.ticker.num_minor_ticks = 0
    if band is not None:
        plot.add_layout(BoxAnnotation(bottom=band[0], top=band[1], fill_color=GREY, fill_alpha=0.1, line_color=None))
    plot.xaxis.formatter = CustomJSTickFormatter(code="return tick < 1 ? '' : tick.toLocaleString('en-US')")
    title, names = next(iter(told.items()))
    x = np.arange(1, len(names) + 1)
    marks: list[EdgeMark] = []
    for one, each in zip(drawn, values, strict=True):
        seen = np.where((each >= low) & (each <= high), each, np.nan)
        plot.line(x, seen, color=one.color, line_width=1.6, line_join="round", line_dash=one.dash)
        if len(x) <= DOTTED:
            plot.scatter(x, seen, color=one.color, size=4.5)
        else:
            draw_lone_points(plot, x, seen, one.color)
        marks += _marks(one, each, names, (low, high))
        for place in flags or {}:
            plot.scatter([place + 1], [seen[place]], size=11, line_color=NAN_COLOR, line_width=1.8, fill_color=None)
    draw_edge_marks(plot, title, marks)
    _draw_flags(plot, flags or {}, len(names), words)
    _tell(plot, x, drawn, told, (low * high) ** 0.5)
    return plot


def name_places(plots: Sequence[Any], names: Sequence[str]) -> None:
    """Write names, or numbers where they are many, under the last of some figures; it grows by their length."""
    for plot in plots[:-1]:
        plot.xaxis.visible = False
        plot.min_border_bottom = 10
        plot.height -= 14
    if len(names) > NAMED:
        return
    short = [tail(name) for name in names]
    axis = plots[-1].xaxis
    axis.ticker = FixedTicker(ticks=list(range(1, len(names) + 1)), minor_ticks=[])
    axis.formatter = CustomJSTickFormatter(args={"names": short}, code="return names[tick - 1] ?? ''")
    axis.major_label_text_font = MONO
    axis.major_label_text_font_size = "10px"
    axis.major_label_policy = NoOverlap(min_distance=2)
    longest = max(map(len, short), default=0)
    if longest > LEVEL:
        axis.major_label_orientation = "vertical"
        plots[-1].height += 6 * longest


def tail(name: str, length: int = NAME_LENGTH) -> str:
    """The end of a name, from a dot on where that is possible: it tells more than the beginning.

    >>> tail("encoder.layers.0.self_attn.out_proj"), tail("encoder.norm")
    ('…0.self_attn.out_proj', 'encoder.norm')
    """
    if len(name) <= length:
        return name
    dot = name.find(".", len(name) - length)
    return "…" + (name[dot + 1 :] if 0 <= dot < len(name) - 1 else name[1 - length :])


def _wide(low: float, high: float) -> tuple[float, float]:
    missing = DECADES - np.log10(high / low) if high / low > 0 else 0.0
    room = 10.0 ** (max(0.0, float(missing)) / 2)
    return low / room, high * room


def _marks(one: Profile, values: np.ndarray, names: Sequence[str], ends: tuple[float, float]) -> list[EdgeMark]:
    found = []
    for place, (value, given) in enumerate(zip(values.tolist(), one.values, strict=True)):
        if given is None or ends[0] <= value <= ends[1]:
            continue
        words = f"{one.label} {number(value)}"
        if np.isfinite(value):
            found.append(EdgeMark(place + 1, names[place], words, one.color, value > ends[1]))
        else:
            found.append(EdgeMark.of(number(value), place + 1, names[place], words))
    return found


def _draw_flags(plot: Any, flags: Mapping[int, str], count: int, words: bool) -> None:
    for index, (place, why) in enumerate(sorted(flags.items())):
        plot.add_layout(
            Span(location=place + 1, dimension="height", line_color=NAN_COLOR, line_alpha=0.45, line_width=1)
        )
        if words and index < FLAG_WORDS:
            left = place > 0.6 * count
            plot.add_layout(
                Label(
                    x=place + 1,
                    y=0.89 - 0.09 * index,
                    y_range_name="edge",
                    x_offset=-6 if left else 6,
                    name="flag",
                    text=why,
                    text_align="right" if left else "left",
                    text_baseline="top",
                    text_color=NAN_COLOR,
                    text_font=FONT,
                    text_font_size="11.5px",
                )
            )


def _tell(plot: Any, x: np.ndarray, drawn: Sequence[Profile], told: Mapping[str, Sequence[str]], middle: float) -> None:
    """A tooltip at every place, also where no curve has a point: it hangs on a line that is not seen."""
    rows = {**told, **{one.label: [number(value) for value in one.values] for one in drawn[:TOLD]}}
    columns = {f"row{index}": list(texts) for index, texts in enumerate(rows.values())}
    source = ColumnDataSource({"x": x, "y": np.full(len(x), middle), **columns})
    unseen = plot.line("x", "y", source=source, line_alpha=0)
    tooltips = [(label, f"@row{index}") for index, label in enumerate(rows)]
    plot.add_tools(HoverTool(renderers=[unseen], tooltips=tooltips, mode="vline", point_policy="follow_mouse"))
