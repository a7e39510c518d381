"""What follows when clipping does not end an incident: the learning rate goes down, step by step, within a budget."""

from dataclasses import dataclass

HALVING = 0.5
"""The learning rate is multiplied by this at each rung."""

MOST_RUNGS = 6
"""Rungs down in all: to 1/64 of the script's rate. Below that it is not the rate."""

PATIENCE = 64
"""Steps that a rung is given before the next one."""

WARM_UP = 20
"""Steps over which the rate comes up again to the rung's, after a step down."""

WARM_UP_START = 0.1
"""Share of the rung's rate at the start of that."""

CALM = 256
"""Steps without an incident after which the script's own rate is tried again, once."""

RETURN = 256
"""Steps over which it comes back."""


@dataclass(frozen=True, slots=True)
class Rung:
    """The learning rate was changed: `factor` of the script's own from here on, and why."""

    factor: float
    reason: str


class Ladder:
    """Decides by how much the learning rate of one optimizer is lowered.

    An incident that clipping does not end (it goes on and on, or the loss drifts away all the same) takes the rate down
    a rung; one that goes on for `PATIENCE` steps after that, another. After `CALM` quiet steps the rate comes back
    once, slowly; if the incident does too, it stays down.

    Example:
        >>> ladder = Ladder()
        >>> ladder.observe("sustained-clipping")
        Rung(factor=0.5, reason='sustained-clipping')
        >>> ladder.observe("sustained-clipping") is None  # the rung has to show first what it does
        True
        >>> ladder.factor() < 0.5  # and comes up slowly
        True
    """

    def __init__(self) -> None:
        self._level = 1.0
        self._rungs = 0
        self._since_rung = 0
        self._quiet = 0
        self._returning = 0
        self._returned = False

    @property
    def lowered(self) -> bool:
        """Whether the rate is below the script's."""
        return self._level < 1.0

    def observe(self, incident: str) -> Rung | None:
        """Tell of a step.

        Args:
            incident: what is going on that clipping does not end; empty when nothing is.

        Returns:
            The change that is made because of it, if one is.
        """
        self._since_rung += 1
        if incident:
            self._quiet = 0
            if self._rungs and self._since_rung <= PATIENCE:
                return None
            return self._down(incident)
        self._quiet += 1
        if self._returning:
            self._returning += 1
            if self._returning > RETURN:
                self._level, self._returning, self._returned = 1.0, 0, True
        elif self.lowered and not self._returned and self._quiet >= CALM:
            self._returning = 1
            return Rung(1.0, f"{CALM} quiet steps")
        return None

    def factor(self) -> float:
        """What the script's learning rate is multiplied by at the coming step."""
        if not self.lowered:
            return 1.0
        if self._returning:
            return self._level ** (1.0 - self._returning / RETURN)
        ramp = WARM_UP_START + (1.0 - WARM_UP_START) * self._since_rung / WARM_UP
        return self._level * min(1.0, ramp)

    def _down(self, incident: str) -> Rung | None:
        if self._rungs == MOST_RUNGS:
            return None
        self._returned = self._returned or self._returning > 0
        # What came back with the rate begins a rung below the one that had ended it.
        if self._returned and not self.lowered:
            self._level = HALVING**self._rungs
        self._level *= HALVING
        self._rungs += 1
        self._since_rung, self._returning = 0, 0
        return Rung(self._level, incident)
