"""Actions and alarms: gathered by name, thinned for the timeline, chosen for the table."""

import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .._recorded import again
from ..records import Action, Alarm
from ..store.reader import Steps
from .model import EventRow, TimelineRow

TABLE_ROWS = 200
"""Lines of the table of events."""

TIMELINE_MARKS = 1_000
"""Marks of one row of the timeline."""

DETAIL_LENGTH = 300
"""Letters of a detail; an error message can be pages long."""


@dataclass(frozen=True, slots=True)
class Series:
    """All events of one name of one optimizer."""

    optimizer: int
    kind: str
    name: str
    step: np.ndarray  # (events,) int64, sorted
    details: Mapping[int, str]  # by step, where one was recorded

    def detail(self, step: int) -> str:
        """What is known of the event at a step."""
        return self.details.get(int(step), "")


def gather(optimizer: int, steps: Steps, actions: Iterable[Action], alarms: Iterable[Alarm]) -> tuple[Series, ...]:
    """The events of one optimizer, alarms first, each kind by its name.

    An action that only the step itself tells of (its record was lost, or none was written) counts too.
    """
    found: dict[tuple[str, str], list[int]] = {}
    details: dict[tuple[str, str], dict[int, str]] = {}

    def note(kind: str, name: str, step: int, detail: Mapping[str, Any]) -> None:
        found.setdefault((kind, name), []).append(step)
        if detail:
            texts = details.setdefault((kind, name), {})
            text = in_words(detail)
            texts[step] = f"{texts[step]}; {text}" if step in texts else text

    for alarm in alarms:
        if alarm.optimizer == optimizer:
            note("alarm", alarm.detector, alarm.step, alarm.detail)
    for action in actions:
        if action.optimizer == optimizer:
            note("action", action.action, action.step, action.detail)
    recorded = {key: set(listed) for key, listed in found.items()}
    for index in np.flatnonzero(steps.action != ""):
        key = ("action", str(steps.action[index]))
        step = int(steps.step[index])
        if step not in recorded.get(key, ()):
            found.setdefault(key, []).append(step)
    order = sorted(found, key=lambda key: (key[0] != "alarm", key[1]))
    return tuple(
        Series(
            optimizer,
            kind,
            name,
            np.sort(np.array(found[kind, name], np.int64)),
            details.get((kind, name), {}),
        )
        for kind, name in order
    )


def timeline_row(series: Series, marks: int = TIMELINE_MARKS) -> TimelineRow:
    """A row of the timeline: every event, or the first of each bin of steps and how many it stands for."""
    step = series.step
    width = max(1, -(-int(step[-1] - step[0] + 1) // marks)) if len(step) > marks else 1
    _, begins, counts = np.unique((step - step[0]) // width, return_index=True, return_counts=True)
    texts = tuple(series.detail(place) for place in step[begins].tolist())
    return TimelineRow(
        series.kind,
        series.name,
        len(step),
        step[begins],
        step[begins + counts - 1],
        counts.astype(np.int64),
        texts,
    )


def table(all_series: Sequence[Series], limit: int = TABLE_ROWS) -> tuple[tuple[EventRow, ...], dict[str, int]]:
    """The lines of the table in order of their steps, and how many of each name did not fit.

    The rarest names are listed in full first: three skips must not drown in ten thousand clips.
    """
    rows: list[EventRow] = []
    left_out: dict[str, int] = {}
    room = limit
    by_rarity = sorted(all_series, key=lambda series: len(series.step))
    for place, series in enumerate(by_rarity):
        share = room // (len(by_rarity) - place)
        shown = series.step[:share]
        room -= len(shown)
        rows += [EventRow(int(s), series.optimizer, series.kind, series.name, series.detail(s)) for s in shown]
        if len(shown) < len(series.step):
            left_out[series.name] = left_out.get(series.name, 0) + len(series.step) - len(shown)
    rows.sort(key=lambda row: (row.step, row.optimizer, row.kind != "alarm", row.name))
    return tuple(rows), left_out


def in_words(detail: Mapping[str, Any]) -> str:
    """A detail as one line for people.

    >>> in_words({"grad_norm": "nan", "limit": 2.34567891, "where": "rnn"})
    'grad_norm nan · limit 2.346 · where rnn'
    """
    text = " · ".join(f"{name} {_value(value)}" for name, value in detail.items() if value is not None)
    return text if len(text) <= DETAIL_LENGTH else text[: DETAIL_LENGTH - 1] + "…"


def number(value: Any, digits: int = 4) -> str:
    """A number for people; it may be a float, the strings "nan", "inf", "-inf", or None.

    >>> number(1234567.0), number("nan"), number(None), number(0.1234567)
    ('1.235e+06', 'NaN', '–', '0.1235')
    """
    if value is None:
        return "–"
    try:
        value = float(value)
    except (TypeError, ValueError):
        return str(value)
    if math.isnan(value):
        return "NaN"
    if math.isinf(value):
        return "Inf" if value > 0 else "-Inf"
    return f"{value:.{digits}g}"


def _value(value: Any) -> str:
    if isinstance(value, (bool, int)):
        return str(value)
    if isinstance(value, float):
        return number(value)
    return again(value) if isinstance(value, str) else json.dumps(value, default=str)
