"""All figures of a page, in their order, each with its heading; those of the same steps share one axis."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from .._i18n import say
from .._view import Heat, Section
from .curves import Curve, curves
from .heatmap import heatmap
from .shades import Shades
from .theme import BLUE, ORANGE, StepAxis
from .timeline import timeline


@dataclass(frozen=True)
class Panel:
    """A figure with its heading; `wide` ones bring their own labels and stand below their heading."""

    key: str
    title: str
    note: str
    plot: Any
    wide: bool = False
    swatches: tuple[tuple[str, str], ...] = ()
    scale: tuple[str, str] | None = None
    cells: frozenset[str] = frozenset()


def panels(sections: tuple[Section, ...]) -> dict[int, tuple[Panel, ...]]:
    """The figures of each optimizer, by its index."""
    axes: dict[int, StepAxis] = {}
    found = {}
    for section in sections:
        # Each optimizer counts its own steps; only where the counts agree does one axis fit both.
        axis = axes.setdefault(section.steps, StepAxis.of(section.steps, f"steps-{section.steps}"))
        found[section.index] = tuple(_section_panels(axis, section))
    return found


def _section_panels(axis: StepAxis, section: Section) -> list[Panel]:
    key = f"o{section.index}"
    found = []
    if len(section.loss) or len(section.loss.marks):
        plot = curves(axis, section.loss, [Curve("loss", say("loss"), BLUE)], height=190)
        found.append(Panel(f"{key}-loss", say("Loss"), "", plot))
    if len(section.grad_norm):
        norms = [
            Curve("grad_norm", say("before clipping"), ORANGE, 1.3),
            Curve("clipped_norm", say("after clipping"), BLUE),
        ]
        plot = curves(axis, section.grad_norm, norms, height=210, log=True)
        swatches = ((BLUE, say("after clipping")), (ORANGE, say("before")))
        found.append(Panel(f"{key}-norm", say("Gradient norm"), say("all tensors"), plot, swatches=swatches))
    if len(section.lr):
        plot = curves(axis, section.lr, [Curve("lr", say("learning rate"), BLUE)], height=110, log=False)
        found.append(Panel(f"{key}-lr", say("Learning rate"), "", plot))
    if section.timeline:
        plot = timeline(axis, section.timeline)
        found.append(Panel(f"{key}-events", say("Timeline"), say("alarms and actions"), plot, wide=True))
    for heat in section.heats:
        found.append(_heat_panel(axis, heat, f"{key}-{heat.quantity}"))
    return found


def _heat_panel(axis: StepAxis, heat: Heat, key: str) -> Panel:
    titles = {
        "grad_norm": say("Gradient norm of each tensor"),
        "update_ratio": say("Update ratio of each tensor"),
    }
    notes = []
    if heat.steps_per_column > 1:
        notes.append(say("each column is the largest of {count} steps", count=_about(heat.steps_per_column)))
    if heat.tensors_per_row > 1:
        notes.append(say("each row is the largest of {count} tensors", count=heat.tensors_per_row))
    if heat.held:
        notes.append(say("sampled; held until the next sample"))
    values = heat.values
    tests = {
        "nan": np.isnan(values),
        "inf": np.isinf(values),
        "zero": values == 0,
        "nothing": values < 0,
    }
    scale = Shades.of(values).ends() if ((values > 0) & np.isfinite(values)).any() else None
    return Panel(
        key,
        titles.get(heat.quantity, heat.quantity),
        "; ".join(notes),
        heatmap(axis, heat),
        wide=True,
        scale=scale,
        cells=frozenset(name for name, hits in tests.items() if hits.any()),
    )


def _about(count: float) -> str:
    """A count that need not be whole.

    >>> _about(1250.0), _about(6.96)
    ('1,250', 'about 7')
    """
    return f"{count:,.0f}" if count == round(count) else say("about {count:,.0f}", count=count)
