"""The timeline: one row for each name of an alarm or an action, one mark for each event."""

from typing import Any

from bokeh.models import ColumnDataSource, CustomJSTickFormatter, FixedTicker, Range1d

from .._i18n import later, say
from .._view import TimelineRow
from .theme import AXIS, BLUE, FONT, GUTTER, INK, NAN_COLOR, ORANGE, StepAxis, add_hover, step_figure

ROW_HEIGHT = 26

LABEL_LENGTH = 24

KINDS = (later("alarm"), later("action"))
"""What a row is of."""


def timeline(axis: StepAxis, rows: tuple[TimelineRow, ...]) -> Any:
    """The figure of the events."""
    plot = step_figure(
        axis,
        38 + ROW_HEIGHT * len(rows),
        left=GUTTER + AXIS,
        y_range=Range1d(start=len(rows) - 0.4, end=-0.6),
    )
    for place, row in enumerate(rows):
        color, marker = _look(row)
        source = ColumnDataSource(
            {
                "step": row.step,
                "row": [place] * len(row.step),
                "text": [_told(row, index) for index in range(len(row.step))],
                "span": [_span(row, index) for index in range(len(row.step))],
            }
        )
        size = 9 if len(row.step) <= 200 else 6
        marks = plot.scatter(
            "step",
            "row",
            source=source,
            marker=marker,
            size=size,
            line_color=color,
            fill_color=color,
            line_width=1.6,
        )
        add_hover(plot, marks, [(say(row.kind), "@text"), (say("step"), "@span")])
    labels = [f"{_short(row.name)}  {row.total:,}" for row in rows]
    plot.yaxis.ticker = FixedTicker(ticks=list(range(len(rows))))
    plot.yaxis.formatter = CustomJSTickFormatter(args={"names": labels}, code="return names[tick] ?? ''")
    plot.yaxis.major_label_text_font = FONT
    plot.yaxis.major_label_text_color = INK
    return plot


def _look(row: TimelineRow) -> tuple[str, str]:
    if row.kind == KINDS[0]:
        return NAN_COLOR, "diamond"
    return (ORANGE, "dash") if row.name == "clip" else (BLUE, "square")


def _told(row: TimelineRow, index: int) -> str:
    return f"{row.name}: {row.text[index]}" if row.text[index] else row.name


def _span(row: TimelineRow, index: int) -> str:
    first, last, count = int(row.step[index]), int(row.last[index]), int(row.count[index])
    if count == 1:
        return f"{first:,}"
    return say("{first:,} to {last:,} ({count:,} events)", first=first, last=last, count=count)


def _short(name: str) -> str:
    return name if len(name) <= LABEL_LENGTH else name[: LABEL_LENGTH - 1] + "…"
