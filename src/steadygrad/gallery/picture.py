"""A picture of a demo, one file: its losses, what each cure makes of the metric, and a further curve."""

import math
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from .._i18n import say
from ..errors import MissingExtra
from .attempt import Attempt
from .cures import CURES, NOTHING, REPAIR, WATCHED, Cure
from .curve import curve_points
from .demos import Sweep
from .exhibit import Exhibit
from .table import NAMES

RED, BLUE, GREEN, GREY = "#c8412f", "#2b7fb8", "#3b8f5a", "#8a919e"
COLOURS = {NOTHING.id: RED, WATCHED.id: BLUE, REPAIR.id: GREEN}
MARKS = ("o", "^")
"""Of the two optimizers: told apart by more than a colour."""

STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
}


def require_matplotlib() -> None:
    """Make sure that a picture can be drawn, before minutes of training go by.

    Raises:
        MissingExtra: matplotlib cannot be imported.
    """
    try:
        import_module("matplotlib.figure")
    except ImportError:
        raise MissingExtra(say("the demos need matplotlib: pip install 'steadygrad[demo]'")) from None


def write_picture(exhibit: Exhibit, path: Path) -> None:
    """Draw everything that was run.

    Args:
        exhibit: the runs.
        path: of the file; its ending says the format.
    """
    has_curve = bool(curve_points(exhibit))
    panels = 3 if has_curve else 2
    figure, axes = _figure(panels, 4.2 * panels + 0.6, 3.6)
    _losses(axes[0], exhibit.heroes)
    _metric(axes[1], exhibit)
    if has_curve:
        _curve(axes[2], exhibit)
    figure.savefig(path, dpi=110)


def write_thumbnail(exhibit: Exhibit, path: Path) -> None:
    """Draw the losses alone, small."""
    figure, axes = _figure(1, 3.6, 2.6)
    _losses(axes[0], exhibit.heroes)
    axes[0].set_title(exhibit.plan.demo.name, fontsize=10)
    figure.savefig(path, dpi=100)


def _figure(panels: int, width: float, height: float) -> tuple[Any, Sequence[Any]]:
    import matplotlib
    from matplotlib.figure import Figure  # no pyplot: it keeps a figure for a window that nobody opens

    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        axes = figure.subplots(1, panels, squeeze=False)[0]
    return figure, axes


def _losses(axes: Any, heroes: Sequence[Attempt]) -> None:
    """The training loss by step; a cross stands where it stops being finite."""
    finite = [loss for each in heroes for loss in each.losses if math.isfinite(loss)]
    if not finite:
        return
    sound = [loss for each in heroes if each.cure is not NOTHING for loss in each.losses if math.isfinite(loss)]
    low, high = min(finite), max(sound or finite)
    top = high * 30 if low > 0 else high + 3 * (high - low)
    for each in heroes:
        points = [(step, loss) for step, loss in enumerate(each.losses) if math.isfinite(loss)]
        style = {"color": COLOURS[each.cure.id], "linewidth": 1.1, "zorder": 3 if each.cure is NOTHING else 2}
        shown = [min(loss, top) for _, loss in points]
        axes.plot([step for step, _ in points], shown, label=_name(each.cure), **style)
        broken = each.first_nonfinite
        if broken is not None:
            last = min(points[-1][1], top) if points and points[-1][0] < broken else top
            axes.plot([broken], [last], "X", color=COLOURS[each.cure.id], markersize=9, zorder=4)
            axes.annotate("nan", (broken, last), xytext=(7, -3), textcoords="offset points", color=RED)
    if low > 0:
        axes.set_yscale("log")
        axes.set_ylim(low * 0.8, top * 1.3)
    axes.set_xlabel(say("step"))
    axes.set_ylabel(say("training loss"))
    axes.legend(loc="upper right", fontsize=8)


def _metric(axes: Any, exhibit: Exhibit) -> None:
    """The metric by cure, a mark a seed; what is not finite stands at the bad end."""
    demo = exhibit.plan.demo
    known = [each.results.get(demo.metric, math.nan) for each in exhibit.grid]
    finite = sorted(value for value in known if math.isfinite(value))
    if not finite:
        return
    baseline = _baseline(exhibit)
    low, high, worst = _range(finite, baseline, demo.higher)
    for number, optimizer in enumerate((demo.optimizer, demo.other)):
        for each in exhibit.grid:
            if each.optimizer != optimizer:
                continue
            place = CURES.index(each.cure) + (number - 0.5) * 0.3
            value = each.results.get(demo.metric, math.nan)
            off = not math.isfinite(value) or not low <= value <= high
            colour = RED if off else (BLUE if each.cure.mode == "protect" else GREY)
            mark = "X" if off else MARKS[number]
            axes.plot([worst if off else value], [place], mark, color=colour, markersize=6, alpha=0.85)
    for mark, optimizer in zip(MARKS, (demo.optimizer, demo.other), strict=True):
        axes.plot([], [], mark, color=GREY, label=NAMES[optimizer])
    axes.plot([], [], "X", color=RED, label=say("nan, or off the scale"))
    if baseline is not None:
        axes.axvline(baseline, color=GREY, linestyle="--", linewidth=1, label=demo.baseline or say("reference"))
    axes.set_yticks(range(len(CURES)), [say(each.title) for each in CURES])
    axes.invert_yaxis()
    axes.set_xlabel(demo.metric)
    axes.legend(loc="best", fontsize=7)


def _range(finite: Sequence[float], baseline: float | None, higher: bool) -> tuple[float, float, float]:
    """From the best value to where most are, and the baseline; and where what has diverged stands, beyond the bad end.

    Returns:
        The lowest and the highest value that are shown as they are, and the place of all others.
    """
    sign = -1.0 if higher else 1.0
    values = sorted(sign * value for value in finite)
    best, middle = values[0], values[len(values) // 2]
    known = [] if baseline is None else [sign * baseline]
    start, end = min([best, *known]), max([best + 3 * (middle - best), *known])
    end = min(end, max([values[-1], *known]))
    low, high = min(sign * start, sign * end), max(sign * start, sign * end)
    room = 0.08 * ((high - low) or 1.0)
    return low, high, low - room if higher else high + room


def _curve(axes: Any, exhibit: Exhibit) -> None:
    """The metric over a length, or over a value of the script; what is lost, or far off, stands at the bad end."""
    demo, points = exhibit.plan.demo, curve_points(exhibit)
    finite = sorted(y for known in points.values() for _, y in known if math.isfinite(y))
    if demo.curve is None or not finite:
        return
    baseline = _baseline(exhibit) if isinstance(demo.curve, Sweep) else None
    low, high, worst = _range(finite, baseline, demo.higher)
    for cure, known in points.items():
        off = [not (math.isfinite(y) and low <= y <= high) for _, y in known]
        shown = [worst if bad else y for bad, (_, y) in zip(off, known, strict=True)]
        colour = COLOURS[cure.id]
        axes.plot([x for x, _ in known], shown, "o-", color=colour, label=_name(cure))
        lost = [place for place, bad in enumerate(off) if bad]
        axes.plot([known[place][0] for place in lost], [worst] * len(lost), "X", color=colour, markersize=9)
    if baseline is not None:
        axes.axhline(baseline, color=GREY, linestyle="--", linewidth=1, label=demo.baseline or say("reference"))
    if isinstance(demo.curve, Sweep):
        axes.set_xscale("log")
        axes.plot([], [], "X", color=GREY, label=say("nan, or off the scale"))
    axes.set_xlabel(say(demo.curve.label))
    axes.set_ylabel(demo.metric)
    axes.legend(loc="best", fontsize=8)


def _baseline(exhibit: Exhibit) -> float | None:
    named = exhibit.plan.demo.baseline
    if named is None:
        return 0.0
    values = [each.results[named] for each in exhibit.grid if math.isfinite(each.results.get(named, math.nan))]
    return values[0] if values else None


def _name(cure: Cure) -> str:
    return say("bare") if cure is NOTHING else cure.title
