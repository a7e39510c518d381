"""What the runs of a demo come to, as tables of text: for the terminal and for a page alike."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, stdev

from .._i18n import say
from .attempt import Attempt
from .cures import CURES, NOTHING, REPAIR, WATCHED
from .curve import curve_points
from .demos import Sweep
from .exhibit import Exhibit


@dataclass(frozen=True)
class Table:
    """A table of text; the first column is that of the rows' names.

    Attributes:
        header: names of the columns.
        rows: their cells.
        best: row and column of cells that are the best of their column.
        bad: row and column of cells that tell of a failure.
    """

    header: tuple[str, ...]
    rows: list[tuple[str, ...]]
    best: frozenset[tuple[int, int]] = frozenset()
    bad: frozenset[tuple[int, int]] = frozenset()

    def markdown(self) -> str:
        """As Markdown has it; the best cell of a column in bold."""
        lines = ["| " + " | ".join(self.header) + " |", "|---" + "|---:" * (len(self.header) - 1) + "|"]
        for place, row in enumerate(self.rows):
            cells = [f"**{cell}**" if (place, column) in self.best else cell for column, cell in enumerate(row)]
            lines.append("| " + " | ".join(cells) + " |")
        return "\n".join(lines)


def heroes_table(exhibit: Exhibit) -> Table:
    """The script as it is: bare, watched, repaired."""
    heroes = exhibit.heroes
    names = {NOTHING.id: say("bare"), WATCHED.id: "steadygrad run", REPAIR.id: "--mode repair"}
    header = ("", *(names[each.cure.id] for each in heroes))
    rows = [
        (say("first non-finite loss at step"), *(_step(each.first_nonfinite) for each in heroes)),
        (say("final training loss"), *(number(each.losses[-1] if each.losses else None) for each in heroes)),
    ]
    for name in dict.fromkeys(name for each in heroes for name in each.results):
        rows.append((name, *(number(each.results.get(name)) for each in heroes)))
    rows.append((say("seconds"), *(f"{each.seconds:.0f}" for each in heroes)))
    bad = {
        (place, column)
        for place, row in enumerate(rows[:-1])
        for column, cell in enumerate(row)
        if column and (cell in ("nan", "inf") or (place == 0 and cell != say("never")))
    }
    return Table(header, rows, bad=frozenset(bad))


def cures_table(exhibit: Exhibit) -> Table:
    """Each cure under each optimizer: the first non-finite step, and the metric's mean and spread over the seeds."""
    demo = exhibit.plan.demo
    optimizers = (demo.optimizer, demo.other)
    header = [""]
    for each in optimizers:
        header += [say("{optimizer}: non-finite at", optimizer=NAMES[each]), f"{NAMES[each]}: {demo.metric}"]
    rows: list[tuple[str, ...]] = []
    best: set[tuple[int, int]] = set()
    bad: set[tuple[int, int]] = set()
    means: dict[int, dict[int, float]] = {2: {}, 4: {}}
    for place, cure in enumerate(CURES):
        row = [say(cure.title) if cure is not WATCHED else cure.title]
        for column, optimizer in zip(means, optimizers, strict=True):
            runs = [each for each in exhibit.grid if each.cure.id == cure.id and each.optimizer == optimizer]
            values = [each.results.get(demo.metric, math.nan) for each in runs]
            row += [_first_steps(runs), spread(values)]
            if any(each.first_nonfinite is not None for each in runs):
                bad.add((place, column - 1))
            if not all(map(math.isfinite, values)):
                bad.add((place, column))
            elif values:
                means[column][place] = mean(values)
        rows.append(tuple(row))
    for column, known in means.items():
        if known:
            chosen = max(known, key=lambda place: known[place] if demo.higher else -known[place])
            best.add((chosen, column))
    return Table(tuple(header), rows, frozenset(best), frozenset(bad))


def curve_table(exhibit: Exhibit) -> Table | None:
    """The metric with each value of the demo's sweep, bare and watched; None for a demo without one."""
    demo, points = exhibit.plan.demo, curve_points(exhibit)
    if not isinstance(demo.curve, Sweep) or not points:
        return None
    values = sorted({value for known in points.values() for value, _ in known})
    cures = [cure for cure in (NOTHING, WATCHED) if cure in points]
    header = (say(demo.curve.label), *(say("bare") if cure is NOTHING else cure.title for cure in cures))
    cells = [[dict(points[cure]).get(value) for cure in cures] for value in values]
    rows = [(f"{value:g}", *map(number, row)) for value, row in zip(values, cells, strict=True)]
    bad = {
        (place, column)
        for place, row in enumerate(cells)
        for column, value in enumerate(row, 1)
        if value is not None and not math.isfinite(value)
    }
    return Table(header, rows, bad=frozenset(bad))


NAMES = {"sgd": "SGD", "adam": "Adam"}


def spread(values: Sequence[float]) -> str:
    """Mean and standard deviation, and how many are not finite.

    Example:
        >>> spread([1.0, 2.0, 3.0]), spread([1.0]), spread([float("nan"), 1.0, 3.0]), spread([float("inf")] * 2)
        ('2 ± 1', '1', '2 (nan in 1 of 3)', 'nan')
    """
    finite = [value for value in values if math.isfinite(value)]
    if not values:
        return "-"
    if not finite:
        return "nan"
    if len(finite) < len(values):
        lost = say("nan in {count} of {all}", count=len(values) - len(finite), all=len(values))
        return f"{number(mean(finite))} ({lost})"
    return number(mean(finite)) + (f" ± {stdev(finite):.2g}" if len(finite) > 1 else "")


def number(value: float | None) -> str:
    """Four digits.

    Example:
        >>> number(2.30999), number(0.5), number(float("nan")), number(None)
        ('2.31', '0.5', 'nan', '-')
    """
    if value is None:
        return "-"
    return f"{value:.4g}" if math.isfinite(value) else str(value)


def _step(step: int | None) -> str:
    return say("never") if step is None else str(step)


def _first_steps(runs: Sequence[Attempt]) -> str:
    """Where the runs became non-finite: a step, a range, and how many did if not all."""
    steps = sorted(each.first_nonfinite for each in runs if each.first_nonfinite is not None)
    if not steps:
        return say("never") if runs else "-"
    where = str(steps[0]) if steps[0] == steps[-1] else say("{first} to {last}", first=steps[0], last=steps[-1])
    if len(steps) == len(runs):
        return where
    return say("{where} ({count} of {all})", where=where, count=len(steps), all=len(runs))
