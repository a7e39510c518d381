"""The page of some trials: the losses of each beside those of the control, the proof, and the change to make."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from bokeh.models import ColumnDataSource, Range1d
from bokeh.plotting import figure

from .._i18n import say
from ..trials import Proof, Trial
from ..trials.words import head, outcome, sentences
from .html import document
from .theme import BLUE, GREY, NAN_COLOR, ORANGE, StepAxis, add_hover, step_figure

HEIGHT = 420

COLORS = {"good": BLUE, "bad": NAN_COLOR, "fair": ORANGE, "none": GREY}

POINTS = 2_000
"""Losses of a trial that are drawn."""

ABOVE = 3.0
"""Times the largest first loss from which a loss is beyond the figure."""


def render_trials(
    title: str, controls: Sequence[Trial], trials: Sequence[Trial], proof: Proof, change: Mapping[str, Any] | None
) -> str:
    """The page as one self-contained HTML document.

    Args:
        title: what was tried, such as the command.
        controls: runs without a change.
        trials: with one change each.
        proof: what they have shown.
        change: what to change in the code: `says`, `code`, `line`, `diff`; None if nothing has helped.
    """
    mended = {each.number for each in proof.mended}
    rows = [
        (trial, *outcome(trial, mended=bool(trial.candidate) and trial.number in mended))
        for trial in (*controls, *trials)
    ]
    swatches = [
        (BLUE, say("sound")),
        (NAN_COLOR, say("diverges")),
        (ORANGE, say("learns nothing")),
        (GREY, say("control")),
    ]
    return document(
        "trials.html.jinja",
        {"trials": _plot(rows)},
        title=title,
        head=head(proof),
        sentences=sentences(proof),
        good=proof.winner is not None,
        rows=rows,
        proving=proof.proving,
        findings=proof.findings[:3],
        change=change,
        swatches=swatches,
    )


def _plot(rows: Sequence[tuple[Trial, str, str]]) -> figure:
    """Losses over steps; what is far above every start is cut off at the top."""
    series = [trial.series for trial, _, _ in rows if trial.series.known]
    steps = max((len(each.losses) for each in series), default=1)
    finite = [each.start for each in series if np.isfinite(each.start)]
    ends = [loss for each in series for loss in each.known if np.isfinite(loss)]
    top = ABOVE * max(finite, default=1.0) if finite and max(finite) > 0 else max(ends, default=1.0)
    shown = [loss for loss in ends if loss <= top]
    log = bool(shown) and min(shown) > 0
    low = min(shown, default=0.0)
    axis = StepAxis.of(steps, "steps-trials")
    room = {} if log else {"pad": 0.05 * (top - low or 1.0)}
    y_range = Range1d(start=low / 1.3, end=top) if log else Range1d(start=low - room["pad"], end=top)
    plot = step_figure(axis, HEIGHT, y_axis_type="log" if log else "linear", y_range=y_range)
    for trial, words, kind in rows:
        losses = np.array([np.nan if loss is None else loss for loss in trial.series.losses], dtype=float)
        places = np.unique(np.linspace(0, max(0, len(losses) - 1), min(len(losses), POINTS)).astype(int))
        values = np.where(np.isfinite(losses), losses, np.nan)[places] if len(losses) else losses
        source = ColumnDataSource({
            "step": places,
            "loss": np.where(values <= top, values, np.nan) if len(values) else values,
            "trial": [trial.name] * len(places),
            "result": [words] * len(places),
        })  # fmt: skip
        color = GREY if trial.candidate is None else COLORS[kind]
        width, alpha = (2.2, 1.0) if kind == "good" else (1.2, 0.55)
        dash = "dashed" if trial.candidate is None else "solid"
        line = plot.line("step", "loss", source=source, color=color, line_width=width, alpha=alpha, line_dash=dash)
        add_hover(
            plot,
            line,
            [
                (say("trial"), "@trial"),
                (say("step"), "@step"),
                (say("loss"), "@loss{%.4g}"),
                (say("result"), "@result"),
            ],
            formatters={"@loss": "printf"},
        )
    return plot
