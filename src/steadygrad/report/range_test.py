"""The page of a learning-rate range test: the loss over the rate, with the rates that follow from it."""

import math
from collections.abc import Sequence

import numpy as np
from bokeh.models import ColumnDataSource, CustomJSTickFormatter, Label, LogTicker, Range1d, Span
from bokeh.plotting import figure

from .._i18n import later, say
from ..records import RangeTest
from .html import document
from .theme import BLUE, GREY, NAN_COLOR, ORANGE, StepAxis, add_hover, step_figure

HEIGHT = 420

DIVERGENCE = later("divergence")
"""What the rate is called at which the loss ran away."""


def render_range_test(test: RangeTest) -> str:
    """The page as one self-contained HTML document."""
    rates = [(name, value, BLUE) for name, value in test.suggestions.items()]
    if test.diverged_at is not None:
        rates.append((DIVERGENCE, test.diverged_at, NAN_COLOR))
    swatches = [(BLUE, say("running mean")), (GREY, say("each step"))]
    return document(
        "range_test.html.jinja", {"range-test": _plot(test, rates)}, test=test, rates=rates, swatches=swatches
    )


def _plot(test: RangeTest, rates: Sequence[tuple[str, float, str]]) -> figure:
    first, last = min(test.lrs), max(test.lrs)
    room = (last / first) ** 0.03 if last > first else 2.0
    start, end = first / room, last * room
    axis = StepAxis(Range1d(start=start, end=end, bounds=(start, end)), Span(dimension="height", line_color=GREY))
    losses, smoothed = np.array(test.losses), np.array(test.smoothed)
    low, high = _limits(losses, smoothed)
    plot = step_figure(axis, HEIGHT, x_axis_type="log", y_range=Range1d(start=low, end=high))
    plot.xaxis.ticker = LogTicker(num_minor_ticks=0, desired_num_ticks=10)
    plot.xaxis.formatter = CustomJSTickFormatter(code="return tick.toExponential(0).replace('e+', 'e')")
    plot.yaxis.formatter = CustomJSTickFormatter(code="return String(Number(tick.toPrecision(4)))")
    seen = (losses >= low) & (losses <= high)
    source = ColumnDataSource({
        "lr": np.array(test.lrs),
        "loss": np.where(seen, losses, np.nan),
        "smoothed": np.where((smoothed >= low) & (smoothed <= high), smoothed, np.nan),
        "text": [f"{loss:.6g}" for loss in test.losses],
    })  # fmt: skip
    plot.line("lr", "loss", source=source, color=GREY, alpha=0.6, line_width=1)
    line = plot.line("lr", "smoothed", source=source, color=BLUE, line_width=2, line_join="round")
    rate, loss = say("learning rate"), say("loss")
    rows = [(rate, "@lr{%.3e}"), (loss, "@text"), (say("running mean"), "@smoothed{%.6g}")]
    add_hover(plot, line, rows, mode="vline", formatters={"@lr": "printf", "@smoothed": "printf"})
    for place, (name, value, color) in enumerate(sorted(rates, key=lambda rate: rate[1])):
        dash = "solid" if name == DIVERGENCE else "dashed"
        plot.add_layout(Span(location=value, dimension="height", line_color=color, line_dash=dash, line_width=1.4))
        # They may lie close together: each a line lower than the one before, the outer two beside the figure's middle.
        left = place == 0 or name == DIVERGENCE
        words = Label(
            x=value, y=HEIGHT - 60 - 18 * place, y_units="screen", x_offset=-6 if left else 6,
            text=f"{say(name)} {value:.2g}", text_color=color, text_font_size="12px",
            text_align="right" if left else "left",
        )  # fmt: skip
        plot.add_layout(words)
    beyond = [(lr, f"{loss:.6g}") for lr, loss in zip(test.lrs, test.losses, strict=True) if not low <= loss <= high]
    if beyond:
        top = ColumnDataSource({
            "lr": [lr for lr, _ in beyond],
            "y": [high - 0.04 * (high - low)] * len(beyond),
            "text": [text for _, text in beyond],
            "marker": ["x" if text == "nan" else "triangle" for _, text in beyond],
            "color": [NAN_COLOR if text == "nan" else ORANGE for _, text in beyond],
        })  # fmt: skip
        marks = plot.scatter("lr", "y", source=top, marker="marker", color="color", size=9, line_width=1.8)
        add_hover(plot, marks, [(rate, "@lr{%.3e}"), (loss, "@text")], formatters={"@lr": "printf"})
    return plot


def _limits(losses: np.ndarray, smoothed: np.ndarray) -> tuple[float, float]:
    """The ends of the loss axis: what was learned fills it, what ran away is a mark at its upper end."""
    finite = losses[np.isfinite(losses)]
    if not len(finite):
        return 0.0, 1.0
    low = float(finite.min())
    first = float(smoothed[0]) if math.isfinite(smoothed[0]) else float(finite[0])
    top = min(float(finite.max()), first + max(first - low, 0.05 * abs(first)))
    room = 0.08 * (top - low) or 0.1 * abs(top) or 1.0
    return low - room, top + 2 * room
