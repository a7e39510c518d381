"""The recurrent Jacobian product expands over time steps.

A recurrent net multiplies its state by the same matrix at every step: if a perturbation grows by 5 % a step, over 200
steps it is a factor of 17,000, and so is the gradient on its way back.

Seen in: the leading Lyapunov exponent of the recurrent layer, and the gradient by time step.

Remedies: orthogonal-recurrent-init, clip-global-norm, gradient-flossing.

Reference: Pascanu, Mikolov and Bengio, "On the difficulty of training recurrent neural networks", 2013.
"""

from collections.abc import Iterator

from ...findings import Finding
from ...rules.recurrent import recurrent
from ..case import Case

CAUSE = "recurrent-gain"


def recurrent_gain(case: Case) -> Iterator[Finding]:
    """By the exponents of the first pass."""
    yield from case.static(recurrent, CAUSE)
