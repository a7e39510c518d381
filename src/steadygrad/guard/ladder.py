"""What follows when clipping does not end an incident: the learning rate goes down, step by step, within a budget."""

from dataclasses import dataclass
from typing import ClassVar

from .._recorded import recorded
from .state import Stateful

HALVING = 0.5
"""The learning rate is multiplied by this at each rung."""

MOST_RUNGS = 6
"""Rungs down in all: to 1/64 of the script's rate. Below that it is not the rate."""

LEAST = 2.0**-12
"""The lowest share of the script's rate, however far beyond the usual its steps are."""

LEAST_MEASURED = 1e-7
"""The same where trial steps, or the curvature, have shown what a model bears: raw features of thousands ask for it."""

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


class Ladder(Stateful):
    """Decides by how much the learning rate of one optimizer is lowered.

    An incident that clipping does not end (it goes on and on, or the loss drifts away all the same) takes the rate down
    a rung; one that goes on for `PATIENCE` steps after that, another. A rung is a part of the script's rate, so that
    schedules keep their shape, and never more than that part of the rate at which it broke. After `CALM` quiet steps
    the script's own rate comes back once, slowly; if the incident does too, it stays down. A script that takes its rate
    down below the rung's at once has mended it itself.

    Args:
        for_good: give the script's own rate back only when asked to, however quiet it is.

    Example:
        >>> ladder = Ladder()
        >>> ladder.observe("sustained-clipping", 0.1)
        Rung(factor=0.5, reason='sustained-clipping')
        >>> ladder.observe("sustained-clipping", 0.1) is None  # the rung has to show first what it does
        True
        >>> ladder.factor(0.1) < 0.5  # and comes up slowly
        True
    """

    KEPT: ClassVar[tuple[str, ...]] = (
        *("_level", "_broke_at", "_last_lr", "_rungs", "_since_rung", "_quiet"),
        *("_returning", "_returned", "_for_good", "_waiting", "_part", "_pace"),
    )

    def __init__(self, *, for_good: bool = False) -> None:
        self._for_good = for_good
        self._level = 1.0
        self._broke_at = 0.0
        self._last_lr = 0.0
        self._rungs = 0
        self._since_rung = 0
        self._quiet = 0
        self._returning = 0
        self._pace = 1
        self._returned = False
        self._waiting = 0
        self._part = 1.0

    @property
    def part(self) -> float:
        """What of the script's rate the last step was made with."""
        return self._part

    @property
    def lowered(self) -> bool:
        """Whether the rate is below the script's."""
        return self._level < 1.0

    def made(self, lr: float | None) -> None:
        """Tell of a step before anything is decided about it: what is known of it is known of its rate.

        Args:
            lr: the script's own rate; None where it cannot be lowered.
        """
        self._part = self.factor(lr)

    def observe(self, incident: str, lr: float | None) -> Rung | None:
        """Tell of a step, when all that is known of it has been acted upon.

        Args:
            incident: what is going on that clipping does not end; empty when nothing is.
            lr: the script's own rate; None where it cannot be lowered.

        Returns:
            The change that is made because of it, if one is.
        """
        self._since_rung += 1
        self._waiting = max(0, self._waiting - 1)
        mended = self._mended(lr)
        if mended is not None:
            return mended
        if incident:
            self._quiet = 0
            if self._waiting or (self._rungs and self._since_rung <= PATIENCE):
                return None
            return self.down(incident, lr)
        self._quiet += 1
        if self._returning:
            self._returning += self._pace
            if self._returning > RETURN:
                self._level, self._returning, self._returned = 1.0, 0, True
        elif self.lowered and not self._for_good and not self._returned and self._quiet >= CALM:
            self._returning, self._pace = 1, 1
            return Rung(1.0, recorded("{count} quiet steps", count=CALM))
        return None

    def factor(self, lr: float | None) -> float:
        """What the script's learning rate is multiplied by at the coming step."""
        if not self.lowered or not lr or lr <= 0:
            return 1.0
        level = self._level * min(1.0, self._broke_at / lr)
        if self._returning:
            return level ** (1.0 - self._returning / RETURN)
        ramp = WARM_UP_START + (1.0 - WARM_UP_START) * self._since_rung / WARM_UP
        return level * min(1.0, ramp)

    def down(
        self,
        reason: str,
        lr: float | None,
        factor: float = HALVING,
        *,
        known: bool = False,
        least: float = LEAST,
    ) -> Rung | None:
        """Lower the rate now: to half, or further where it is known by how much steps have become too long.

        Args:
            reason: why.
            lr: the script's own rate; None where it cannot be lowered.
            factor: by what the rate is multiplied, a half or less.
            known: the factor is what the step that was `made` last was too long by. Then the rate is not given back.
            least: no lower share of the script's rate than this.

        Returns:
            The change; None if the budget is spent.
        """
        if self._rungs == MOST_RUNGS or not lr or lr <= 0:
            return None
        self._returned = self._returned or self._returning > 0 or known
        # What came back with the rate begins a rung below the one that had ended it.
        if self._returned and not self.lowered and not known:
            self._level = HALVING**self._rungs
        # What is known is known of the step that was made: since then the rate may have been lowered once already.
        own = self._part if known else self._level
        self._level = min(self._level, max(least, own * min(HALVING, factor)))
        self._broke_at = lr
        self._rungs += 1
        self._since_rung, self._returning = 0, 0
        return Rung(self._level, reason)

    def wait(self) -> None:
        """Something milder was done: it is given as long as a rung before the first one follows."""
        self._waiting = PATIENCE

    def give_back(self, reason: str) -> Rung | None:
        """The script's own rate again, at once."""
        if not self.lowered:
            return None
        self._level, self._returning, self._returned = 1.0, 0, False
        return Rung(1.0, reason)

    def come_back(self, reason: str, over: int = RETURN) -> Rung | None:
        """The script's own rate again, slowly, as after `CALM` quiet steps: what it was lowered for is put right.

        Args:
            reason: why.
            over: steps over which it comes back.
        """
        if not self.lowered or self._returning:
            return None
        self._returning, self._pace = 1, max(1, RETURN // over)
        return Rung(1.0, reason)

    def _mended(self, lr: float | None) -> Rung | None:
        """The script has taken its rate far down at once: what it was lowered for is over, or will come again."""
        before, self._last_lr = self._last_lr, lr or 0.0
        if not lr or lr > 0.5 * before or lr > max(0.25, self._level) * self._broke_at:
            return None
        return self.give_back(recorded("the script has lowered its rate itself"))
