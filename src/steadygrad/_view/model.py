"""The parts of a page. Arrays of one part have equal length; NaN and infinity in them are data."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

NAN, INF, MINUS_INF = "NaN", "Inf", "-Inf"
"""The names of the non-finite kinds, as people read them."""


@dataclass(frozen=True, slots=True)
class EdgeMarks:
    """Where a curve was not finite: one mark a bin and kind: one NaN among a million steps is seen."""

    step: np.ndarray  # (marks,) int64, the first such step of the bin
    last: np.ndarray  # (marks,) int64, the last such step of the bin
    count: np.ndarray  # (marks,) int64
    kind: tuple[str, ...]
    column: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Lines:
    """Curves over the step, thinned together.

    A value that was not finite is NaN here and has its mark in `marks`.
    """

    step: np.ndarray  # (points,) int64
    values: Mapping[str, np.ndarray]  # each (points,) float64
    marks: EdgeMarks

    def __len__(self) -> int:
        return len(self.step)


@dataclass(frozen=True, slots=True)
class Heat:
    """A per-tensor quantity as a map, tensor x step; each cell holds the largest of its steps and tensors.

    NaN wins over infinity, infinity over a number, a number over `NO_GRADIENT`, which stands for nothing.
    """

    quantity: str
    first: int
    last: int  # the columns divide the steps [first, last) evenly
    labels: tuple[str, ...]  # one a row: the name of its first tensor
    values: np.ndarray  # (rows, columns) float32
    num_tensors: int
    tensors_per_row: int
    held: bool  # whether a cell holds its value until the next sample

    @property
    def steps_per_column(self) -> float:
        """How many steps a column stands for."""
        return (self.last - self.first) / max(1, self.values.shape[1])


@dataclass(frozen=True, slots=True)
class TimelineRow:
    """All events of one name, thinned: each mark stands for the events of the steps `step` to `last`."""

    kind: str  # "action" or "alarm"
    name: str
    total: int
    step: np.ndarray  # (marks,) int64
    last: np.ndarray  # (marks,) int64
    count: np.ndarray  # (marks,) int64
    text: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class EventRow:
    """One line of the table of actions and alarms."""

    step: int
    optimizer: int
    kind: str
    name: str
    detail: str


@dataclass(frozen=True, slots=True)
class TensorRow:
    """One tensor: what it is, its largest finite gradient norm, the first step at which it was not finite."""

    name: str
    shape: tuple[int, ...]
    dtype: str
    largest: float | None
    first_nonfinite: int | None


@dataclass(frozen=True, slots=True)
class Section:
    """One optimizer."""

    index: int
    name: str
    steps: int
    loss: Lines
    grad_norm: Lines
    lr: Lines
    heats: tuple[Heat, ...]
    timeline: tuple[TimelineRow, ...]
    tensors: tuple[TensorRow, ...]


@dataclass(frozen=True, slots=True)
class Fact:
    """A key number of the header; `step` is where it happened, for a link into the figures."""

    label: str
    value: str
    note: str = ""
    step: int | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """A whole page."""

    title: str
    verdict: str
    reason: str
    error: str
    command: str
    started: float
    ended: float | None
    notices: tuple[str, ...]
    facts: tuple[Fact, ...]
    findings: tuple[Mapping[str, Any], ...]
    sections: tuple[Section, ...]
    events: tuple[EventRow, ...]
    events_left_out: Mapping[str, int]
