"""Curves over the step: loss, gradient norm, learning rate. What is not finite is a mark at the edge."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, Range1d

from .._i18n import say
from .._view import Lines
from .marks import EdgeMark, draw_edge_marks
from .theme import StepAxis, add_hover, step_figure

LOG_FROM = 300.0
"""A positive curve whose largest value is this many times its smallest is drawn on a log scale."""

OFF_SCALE = 20.0
"""A point this many spreads (of the middle 98 %) away is shown at the edge of a linear scale."""


@dataclass(frozen=True)
class Curve:
    """One curve of a figure: its column, its words in a tooltip, its colour."""

    column: str
    label: str
    color: str
    width: float = 1.6


def curves(axis: StepAxis, data: Lines, drawn: Sequence[Curve], *, height: int, log: bool | None = None) -> Any:
    """A figure of curves.

    Args:
        axis: the axis of steps.
        data: the points.
        drawn: which columns are drawn, the lowest layer first.
        height: in pixels.
        log: whether the scale is logarithmic; None lets the values decide.

    Returns:
        The figure.
    """
    columns = {curve.column: data.values[curve.column] for curve in drawn}
    finite = np.concatenate([values[np.isfinite(values)] for values in columns.values()])
    log = _spans_decades(finite) if log is None else log
    low, high = limits(finite, log)
    plot = step_figure(
        axis,
        height,
        y_axis_type="log" if log else "linear",
        y_range=Range1d(start=low, end=high),
        lod_threshold=None,
    )
    if not log:
        plot.yaxis.formatter = CustomJSTickFormatter(code="return String(Number(tick.toPrecision(4)))")
    plot.yaxis.ticker.desired_num_ticks = max(2, height // 45)
    plot.yaxis.ticker.num_minor_ticks = 0
    visible = {name: np.where((values >= low) & (values <= high), values, np.nan) for name, values in columns.items()}
    source = ColumnDataSource({"step": data.step, **visible})
    first = None
    for curve in drawn:
        options = {"source": source, "color": curve.color}
        first = plot.line("step", curve.column, line_width=curve.width, line_join="round", **options)
        draw_lone_points(plot, data.step, visible[curve.column], curve.color)
    if first is not None:
        rows = [(say("step"), "@step{0,0}")]
        rows += [(curve.label, f"@{curve.column}{{%.6g}}") for curve in drawn]
        add_hover(plot, first, rows, mode="vline", formatters={f"@{c.column}": "printf" for c in drawn})
    _draw_edges(plot, data, drawn, columns, (low, high))
    return plot


def _spans_decades(finite: np.ndarray) -> bool:
    return bool(len(finite) and finite.min() > 0 and finite.max() > LOG_FROM * finite.min())


def limits(finite: np.ndarray, log: bool) -> tuple[float, float]:
    """The ends of the y axis for values without NaN and infinity, with room at the top for the marks."""
    finite = finite[finite > 0] if log else finite
    if not len(finite):
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if log:
        low, high = max(low, 1e-300), min(high, 1e300)
        room = max(1.15, (high / low) ** 0.04) if high / low < 1e300 else 10.0
        return low / room, high * room**4
    inner = np.quantile(finite, [0.01, 0.99])
    reach = OFF_SCALE * max(float(inner[1] - inner[0]), 1e-3 * float(np.abs(inner).max()))
    if high > inner[1] + reach or low < inner[0] - reach:
        low = max(low, float(inner[0]) - reach / OFF_SCALE)
        high = min(high, float(inner[1]) + reach / OFF_SCALE)
    room = 0.06 * (high - low) or max(1e-12, abs(high) * 0.1)
    return low - room, high + 2.5 * room


def draw_lone_points(plot: Any, x: np.ndarray, values: np.ndarray, color: str) -> None:
    """A point between two gaps is on no line; it is drawn as a dot."""
    gap = np.concatenate([[True], np.isnan(values), [True]])
    alone = np.flatnonzero(gap[:-2] & ~gap[1:-1] & gap[2:])
    if len(alone):
        plot.scatter(x[alone], values[alone], size=3.5, color=color)


def _draw_edges(
    plot: Any,
    data: Lines,
    drawn: Sequence[Curve],
    columns: dict[str, np.ndarray],
    ends: tuple[float, float],
) -> None:
    """Marks at the top for values that are not finite or too large, at the bottom for those too small."""
    labels = {curve.column: curve.label for curve in drawn}
    seen: set[tuple[int, str]] = set()
    found = []
    marks = data.marks
    for step, last, count, kind, column in zip(
        marks.step.tolist(), marks.last.tolist(), marks.count.tolist(), marks.kind, marks.column, strict=True
    ):
        if column not in labels or (step, kind) in seen:
            continue  # both norms of one step: one mark says it
        seen.add((step, kind))
        words = f"{labels[column]} {kind}"
        if count > 1:
            words = say("{value} ({count:,} of the steps to {last:,})", value=words, count=count, last=last)
        found.append(EdgeMark.of(kind, step, f"{step:,}", words))
    for curve in drawn:
        values = columns[curve.column]
        for beyond, top in ((values > ends[1], True), (values < ends[0], False)):
            for i in np.flatnonzero(beyond):
                step = int(data.step[i])
                words = say("{value} (off the scale)", value=f"{curve.label} {values[i]:.6g}")
                found.append(EdgeMark(step, f"{step:,}", words, curve.color, top))
    draw_edge_marks(plot, say("step"), found)
