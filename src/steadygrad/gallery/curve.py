"""A further curve of a demo: its metric over a length or over a value of the script, by cure."""

import math

from .attempt import Attempt
from .cures import REPAIR, Cure
from .demos import Lengths, Sweep
from .exhibit import Exhibit

Points = dict[Cure, list[tuple[float, float]]]
"""By cure a value of the axis and the metric there, NaN where it is not known."""


def curve_points(exhibit: Exhibit) -> Points:
    """The points of the demo's curve, as far as its runs were made; none for a demo without one.

    Args:
        exhibit: the runs.
    """
    demo, points = exhibit.plan.demo, Points()
    if isinstance(demo.curve, Lengths):
        for each in exhibit.heroes:
            names = [(length, demo.curve.name.format(length)) for length in demo.curve.values]
            points[each.cure] = [(length, each.results.get(name, math.nan)) for length, name in names]
    for value, each in _swept(exhibit):
        points.setdefault(each.cure, []).append((value, each.results.get(demo.metric, math.nan)))
    return {cure: sorted(known) for cure, known in points.items()}


def _swept(exhibit: Exhibit) -> list[tuple[float, Attempt]]:
    """The runs of a sweep by their value, those with the script's own value among them."""
    curve = exhibit.plan.demo.curve
    if not isinstance(curve, Sweep) or not exhibit.sweep:
        return []
    chosen = curve.option in exhibit.plan.arguments  # then the heroes have another value than the script's own
    own = [] if chosen else [(curve.own, each) for each in exhibit.heroes if each.cure is not REPAIR]
    return own + [(float(each.arguments[-1]), each) for each in exhibit.sweep]
