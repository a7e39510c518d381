"""The gradient dies over time steps.

A recurrence that contracts forgets: after a handful of steps nothing is left of what the net has read, and no gradient
tells the early steps what would have helped.

Seen in: the leading Lyapunov exponent of the recurrent layer, far below zero; or the time step that says most about
the target, of which hardly any of the gradient arrives.

Remedies: orthogonal-recurrent-init, chrono-init, gradient-flossing.

Reference: Bengio, Simard and Frasconi, "Learning long-term dependencies with gradient descent is difficult", 1994.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.recurrent import forgetful, recurrent
from ..case import Case

CAUSE = "vanishing-recurrent"


def vanishing_recurrent(case: Case) -> Iterator[Finding]:
    """By the exponents of the first pass."""
    yield from case.static(forgetful if case.stalled else recurrent, CAUSE)
