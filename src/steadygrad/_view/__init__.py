"""A recorded run as one page: what the report and the live view show, as frozen dataclasses of numpy arrays.

`model` names the parts of a page, `reduce` makes long recordings small without losing an extreme or a NaN,
`heat` bins per-tensor norms, `events` gathers actions and alarms, `build` puts a page together.
No torch, no bokeh.
"""

from .build import build_page
from .model import EdgeMarks, EventRow, Fact, Heat, Lines, Page, Section, TensorRow, TimelineRow
from .reduce import keep_extremes, non_finite_marks

__all__ = [
    "EdgeMarks",
    "EventRow",
    "Fact",
    "Heat",
    "Lines",
    "Page",
    "Section",
    "TensorRow",
    "TimelineRow",
    "build_page",
    "keep_extremes",
    "non_finite_marks",
]
