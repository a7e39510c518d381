"""Gradients that grew step by step are held to the norm from before: where steps grow with them, that is their rate."""

import math
from dataclasses import dataclass
from typing import ClassVar

from .state import Stateful

DOUBLES = 256
"""Steps in which the norm that is held doubles: what was held for nothing is let go."""

LET_GO = 64
"""Gradients in a row below the norm that is held, after which nothing is held any more."""


@dataclass(frozen=True, slots=True)
class Grown:
    """The norm of gradients when the loss was at its best, and how many times larger it is now."""

    before: float
    times: float


class HeldNorm(Stateful):
    """The norm that gradients of one optimizer are held to, if they are.

    A loss that is multiplied by a little more at each step (a sum over ever longer sequences, a weight that a schedule
    raises) makes steps longer that grow with the gradient, as a rate does that rises; and no weights of before do
    better on such a loss. A clip to the norm from before the growth leaves the direction, and the length as it was.

    Example:
        >>> held = HeldNorm()
        >>> held.coefficient(50.0)
        1.0
        >>> held.hold(2.0)
        >>> round(held.coefficient(50.0), 2), held.coefficient(1.0)
        (0.04, 1.0)
    """

    KEPT: ClassVar[tuple[str, ...]] = ("_norm", "_below")

    def __init__(self) -> None:
        self._norm = 0.0
        self._below = 0

    @property
    def active(self) -> bool:
        """Whether gradients are held."""
        return self._norm > 0.0

    def hold(self, norm: float) -> None:
        """Hold gradients to this norm from now on."""
        self._norm, self._below = norm, 0

    def coefficient(self, norm: float) -> float:
        """What a gradient of this norm is multiplied by; one that is not finite is none to be held."""
        return min(1.0, self._norm / norm) if self.active and 0.0 < norm < math.inf else 1.0

    def observe(self, norm: float) -> bool:
        """Tell of the norm of a gradient before it was held; returns whether nothing is held any more since."""
        if not self.active:
            return False
        self._norm *= 2.0 ** (1.0 / DOUBLES)
        self._below = self._below + 1 if norm <= self._norm else 0
        if self._below < LET_GO:
            return False
        self._norm = 0.0
        return True
