"""The log-scale map tensor x step. What is not finite is drawn as cells and as boxes no zoom can lose."""

from typing import Any

import numpy as np
from bokeh.models import (
    BasicTicker,
    BoxZoomTool,
    CustomJSHover,
    CustomJSTickFormatter,
    Range1d,
)

from .._i18n import say
from .._view import Heat
from .shades import Shades
from .theme import (
    AXIS,
    GUTTER,
    INF_COLOR,
    MONO,
    NAN_COLOR,
    NOTHING_COLOR,
    StepAxis,
    add_hover,
    step_figure,
)

NAME_LENGTH = 27
"""Letters of a tensor's name that fit beside the map; its end tells more than its beginning."""

MAX_BOXES = 4_000
"""Boxes around non-finite cells; where there are more, the cells are much of the map and seen anyway."""


def heatmap(axis: StepAxis, heat: Heat) -> Any:
    """The figure of a map."""
    rows = len(heat.labels)
    plot = step_figure(
        axis,
        height_of(rows),
        left=GUTTER + AXIS,
        y_range=Range1d(start=rows - 0.5, end=-0.5, bounds=(-0.5, rows - 0.5), min_interval=min(3.0, float(rows))),
    )
    plot.background_fill_color = NOTHING_COLOR
    plot.grid.grid_line_color = None
    shades = Shades.of(heat.values)
    shown = plot.image(
        image=[shades.encode(heat.values)],
        x=heat.first - 0.5,
        y=-0.5,
        dw=heat.last - heat.first,
        dh=rows,
        color_mapper=shades.mapper(),
        origin="bottom_left",  # the axis is reversed: its bottom is the first row
    )
    _draw_boxes(plot, heat)
    _label_rows(plot, heat.labels)
    plot.add_tools(BoxZoomTool(dimensions="both"))
    add_hover(
        plot,
        shown,
        [(say("tensor"), "$y{custom}"), (say("step"), "$x{custom}"), (heat.quantity, "@image{custom}")],
        formatters={"$y": _row_name(heat), "$x": _step_span(heat), "@image": _cell_value(shades)},
        point_policy="follow_mouse",
    )
    return plot


def height_of(rows: int) -> int:
    """Pixels of a map of so many rows: names fit up to about fifty, then the map stays on one screen.

    >>> height_of(2), height_of(40), height_of(600)
    (86, 590, 640)
    """
    return int(30 + min(610, max(56, rows * 14)))


def boxes(hits: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Rectangles that cover the cells of a mask: runs along a row, joined with the same run in rows below.

    Returns:
        First and end column, first and end row, of each rectangle.

    Example:
        >>> mask = np.array([[0, 1, 1], [0, 1, 1], [1, 0, 0]], bool)
        >>> [part.tolist() for part in boxes(mask)]
        [[0, 1], [1, 3], [2, 0], [3, 2]]
    """
    padded = np.pad(hits, ((0, 0), (1, 1))).astype(np.int8)
    row, begin = np.nonzero(np.diff(padded, axis=1) == 1)
    _, end = np.nonzero(np.diff(padded, axis=1) == -1)
    order = np.lexsort((row, end, begin))
    row, begin, end = row[order], begin[order], end[order]
    fresh = np.ones(len(row), bool)
    fresh[1:] = (np.diff(begin) != 0) | (np.diff(end) != 0) | (np.diff(row) != 1)
    heads = np.flatnonzero(fresh)
    tails = np.append(heads[1:], len(row)) - 1
    return begin[heads], end[heads], row[heads], row[tails] + 1 if len(heads) else row[heads]


def without_common(labels: tuple[str, ...]) -> tuple[str, ...]:
    """The names without the modules that all of them share, where names are too long to stand beside the map.

    >>> without_common(("model.encoder.block.0.feed_forward.weight", "model.encoder.block.0.norm.bias"))
    ('…feed_forward.weight', '…norm.bias')
    """
    if all(len(name) <= NAME_LENGTH for name in labels):
        return labels
    first, last = min(labels), max(labels)
    shared = next((i for i, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    cut = first.rfind(".", 0, shared) + 1
    return tuple("…" + name[cut:] for name in labels) if cut else labels


def _draw_boxes(plot: Any, heat: Heat) -> None:
    width = heat.steps_per_column
    for hits, color in ((np.isinf(heat.values), INF_COLOR), (np.isnan(heat.values), NAN_COLOR)):
        if not hits.any():
            continue
        begin, end, top, bottom = (part[:MAX_BOXES] for part in boxes(hits))
        plot.quad(
            left=heat.first - 0.5 + begin * width,
            right=heat.first - 0.5 + end * width,
            top=top - 0.5,
            bottom=bottom - 0.5,
            fill_color=None,
            line_color=color,
            line_width=1.2,
        )


def _label_rows(plot: Any, labels: tuple[str, ...]) -> None:
    size = 11 if len(labels) <= 44 else 10
    plot.yaxis.major_label_text_font = MONO
    plot.yaxis.major_label_text_font_size = f"{size - 1}px"
    ticks = len(labels) * 2 if len(labels) <= 46 else 44
    plot.yaxis.ticker = BasicTicker(min_interval=1, desired_num_ticks=ticks, num_minor_ticks=0)
    short = [name if len(name) <= NAME_LENGTH else "…" + name[1 - NAME_LENGTH :] for name in without_common(labels)]
    plot.yaxis.formatter = CustomJSTickFormatter(args={"names": short}, code="return names[Math.round(tick)] ?? ''")


def _row_name(heat: Heat) -> CustomJSHover:
    code = """
        const row = Math.min(names.length - 1, Math.max(0, Math.round(value)))
        const more = Math.min(group, tensors - row * group) - 1
        return names[row] + (more > 0 ? next.replace("{count}", more) : "")
    """
    # JavaScript fills these places in, hence `say` without values.
    args = {
        "next": " " + say("and the next {count}"),
        "names": list(heat.labels),
        "group": heat.tensors_per_row,
        "tensors": heat.num_tensors,
    }
    return CustomJSHover(args=args, code=code)


def _step_span(heat: Heat) -> CustomJSHover:
    code = """
        const column = Math.floor((value - first + 0.5) / width)
        const begin = Math.ceil(first + column * width - 1e-9)
        const end = Math.max(begin, Math.ceil(first + (column + 1) * width - 1e-9) - 1)
        const text = (step) => step.toLocaleString("en-US")
        return begin == end ? text(begin) : span.replace("{first}", text(begin)).replace("{last}", text(end))
    """
    span = say("{first} to {last} (largest)")
    return CustomJSHover(args={"first": heat.first, "width": heat.steps_per_column, "span": span}, code=code)


def _cell_value(shades: Shades) -> CustomJSHover:
    code = """
        if (isNaN(value)) return "NaN"
        if (value == infinity) return "Inf"
        if (value < -1e20) return nothing
        if (value == zero) return "0"
        return (value <= low + 1e-5 && smallest < low ? most + " " : "") + (10 ** value).toPrecision(4)
    """
    args = {"zero": float(shades.zero), "infinity": float(shades.infinity), "low": shades.low}
    words = {"nothing": say("no gradient"), "most": say("at most")}
    return CustomJSHover(args={**args, **words, "smallest": shades.smallest}, code=code)
