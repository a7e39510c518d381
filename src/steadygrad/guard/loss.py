"""The state of the loss: evidence for the clip, and an alarm for a run that drifts away; never acts by itself."""

from collections import deque
from itertools import pairwise
from statistics import median
from typing import ClassVar

from .._robust import MAD_TO_SIGMA
from .state import Stateful

RECENT = 8
"""Losses whose median is the level, and losses from one check of it to the next."""

HISTORY = 64
"""Losses that show the noise."""

CHAIN = 4
"""Records in a row of loss and gradient norm together, or levels in a row that do not fall: no task does that."""

CHAIN_GROWTH = 4.0
"""Times that the norm must have grown over such a chain."""

FAR = 30.0
"""Times the scale of the run: a loss this far above its start, with gradients grown as much, is drifting away. So is
one that has gone as far again since that was said."""

BEYOND = FAR**2
"""Times the scale of the run above its start at which no task has become so much harder, whatever weights of before do
on it: targets may be made of the weights."""


class LossLevel(Stateful):
    """Knows whether the accepted losses lie clearly above their best level. Signed and shift-free.

    Example:
        >>> level = LossLevel()
        >>> for step in range(40):
        ...     level.push(2.0 - 0.01 * step)
        >>> level.worse()
        False
        >>> for step in range(8):
        ...     level.push(9.0)
        >>> level.worse()
        True
    """

    KEPT: ClassVar[tuple[str, ...]] = (
        *("_losses", "_best", "_first", "_count", "_norms", "_lowest_norm"),
        *("_seen", "_told", "_told_at", "_records", "_chain", "_rising", "_last_level", "_below", "_noise_at_best"),
    )

    def __init__(self) -> None:
        self._losses: deque[float] = deque(maxlen=HISTORY)
        self._best = float("inf")
        self._first: float | None = None
        self._seen: float | None = None
        self._count = 0
        self._norms: deque[float] = deque(maxlen=RECENT)
        self._lowest_norm = float("inf")
        self._told = False
        self._told_at = 1.0
        self._records = [-float("inf"), -float("inf")]
        self._chain: list[float] = []
        self._rising = 0
        self._last_level = float("inf")
        self._below = 0
        self._noise_at_best = float("inf")

    @property
    def best(self) -> float:
        """The best level so far: the lowest median of eight losses in a row."""
        return self._best

    def lowest_recent(self) -> float:
        """The lowest of the last eight losses."""
        return min(list(self._losses)[-RECENT:])

    @property
    def first(self) -> float | None:
        """The very first loss; None before it."""
        return self._first

    def see(self, loss: float) -> None:
        """Tell of the finite loss of a step that may not be accepted: of the first one, as long as none is."""
        if self._seen is None:
            self._seen = loss

    def push(self, loss: float) -> None:
        """Add the finite loss of an accepted step."""
        if self._first is None:
            self._first = loss
        self._count += 1
        self._losses.append(loss)
        if len(self._losses) >= RECENT:
            level = self._recent()
            self._best = min(self._best, level)
            if level == self._best and self.at_check:
                self._noise_at_best = self.noise()
            if level <= self._first + 0.1 * abs(self._first):
                self._below = self._count

    @property
    def steps_above_start(self) -> int:
        """Steps since the level was last no higher than the very first loss, a tenth of it allowed; all, if never."""
        return self._count - self._below

    def worse(self) -> bool:
        """Whether the level now is above the best by more than six times the noise and half of all progress.

        Noise may be as large as the losses, and grow with them. So it is enough, too, if for long not a single loss has
        been that near to the best level.
        """
        if self._first is None or len(self._losses) < RECENT:
            return False
        half = 0.5 * self._span()
        if len(self._losses) == HISTORY and min(self._losses) - self._best > half > 0.0:
            return True
        return self._recent() - self._best > max(6 * self.noise(), half)

    def elevated(self) -> bool:
        """Whether the level is above the best by what the noise of a median of eight explains no longer.

        A weaker word than `worse`, for use beside other evidence: 2.5 times the noise of a single loss, and a tenth of
        all progress.
        """
        if self._first is None or len(self._losses) < RECENT:
            return False
        return self._recent() - self._best > max(2.5 * self.noise(), 0.1 * self._span())

    def learned(self) -> bool:
        """Whether the best level is below the first loss by more than the noise: there is something to lose.

        The loss of a generator may rise from its first step on, and all is well. What counts is the noise that there
        was then: that of a run which has come apart since is as large as its losses.
        """
        noise = min(self.noise(), self._noise_at_best)
        return self._first is not None and self.known and self._first - self._best > 2.5 * noise

    def rebase(self) -> None:
        """What is now is the new best: the level has changed for a reason that is none of ours."""
        if len(self._losses) >= RECENT:
            self._best = self._recent()

    @property
    def at_check(self) -> bool:
        """Whether the last push has completed another eight losses."""
        return self._count % RECENT == 0 and len(self._losses) >= RECENT

    @property
    def known(self) -> bool:
        """Whether there are enough losses for a level."""
        return len(self._losses) >= RECENT

    def far_above(self, loss: float) -> bool:
        """Whether a single loss lies above the level by more than six times the noise and a quarter of all progress."""
        if self._first is None:
            return False
        if len(self._losses) < RECENT:
            return loss > self._first + abs(self._first)
        return loss - self._recent() > max(6 * self.noise(), 0.25 * self._span())

    def limit(self, *, since_best: bool = False) -> float | None:
        r"""The level that counts as back after an incident that begins now: what it was before it, and

        .. math:: + \max(0.1 \cdot \text{progress}, 3 \cdot \text{MAD})

        None without a loss. If the level is worse by now, or the incident is that it drifts, the best is what counts.
        """
        if self._first is None:
            return None
        if len(self._losses) < RECENT:
            return self._first + 0.1 * abs(self._first)
        level = self._best if since_best or self.worse() else self._recent()
        return level + max(0.1 * max(0.0, self._first - level), 3 * self.noise() / MAD_TO_SIGMA)

    def above_start(self, level: float | None = None) -> bool:
        """Whether a level, or that of now, is above the very first loss by more than the noise.

        Where too few have been accepted to know of any noise, a level that is given has to be at twice it, or at twice
        what was seen first.
        """
        first = self._seen if self._first is None else self._first
        if first is None:
            return False
        if len(self._losses) < RECENT:
            return level is not None and level > first + abs(first)
        now = self._recent() if level is None else level
        return now - first > max(6 * self.noise(), 0.1 * abs(first))

    def level(self) -> float | None:
        """The median of the last eight accepted losses."""
        return self._recent() if len(self._losses) >= RECENT else None

    def norm(self) -> float | None:
        """The median gradient norm of the last eight accepted steps."""
        return median(self._norms) if len(self._norms) >= RECENT else None

    def mean(self) -> float | None:
        """The mean of the accepted losses that are kept, in which rare ones count."""
        return sum(self._losses) / len(self._losses) if len(self._losses) >= RECENT else None

    def noise(self) -> float:
        """The spread of a loss from one step to the next; a change of level does not count."""
        if len(self._losses) < RECENT:
            return 0.0
        steps = [after - before for before, after in pairwise(self._losses)]
        middle = median(steps)
        return MAD_TO_SIGMA * median(abs(step - middle) for step in steps)

    def _span(self) -> float:
        assert self._first is not None
        if self._first > self._best:
            return self._first - self._best
        ordered = sorted(self._losses)
        return ordered[3 * len(ordered) // 4] - ordered[len(ordered) // 4]

    def is_beyond_tasks(self) -> bool:
        """Whether the level is so far above the start that no harder task explains it."""
        return self._first is not None and self.known and self._above() > BEYOND

    def diverges(self, grad_norm: float) -> bool:
        """Whether the run drifts away for good; true once an episode, and again each time it has gone `FAR` farther.

        Either fast: the loss and the gradient norm set records together, four steps in a row, above twice the start
        and with the norm grown fourfold. Or slowly: far above its start (thirty times all that was ever between its
        losses and their size), not falling for 32 steps, and with gradients thirty times their lowest level. Losses
        that may rise (a GAN's) and a harder task are none of this.

        Args:
            grad_norm: the norm of the accepted step whose loss was pushed last.
        """
        self._norms.append(grad_norm)
        if self._runs_away(grad_norm):
            return True
        if self._count % RECENT or self._first is None or len(self._losses) < RECENT:
            return False
        level_of_norm = median(self._norms)
        self._lowest_norm = min(self._lowest_norm, level_of_norm or self._lowest_norm)
        level, above = self._recent(), self._above()
        self._rising = self._rising + 1 if above > FAR and level >= self._last_level else 0
        self._last_level = level
        if above <= FAR:
            self._told, self._told_at = False, 1.0
        told = self._told and above <= FAR * self._told_at
        if told or self._rising < CHAIN or level_of_norm <= FAR * self._lowest_norm:
            return False
        self._told, self._told_at = True, above
        return True

    def _above(self) -> float:
        """How far the level is above the very first loss, in all that was ever between the losses and their size."""
        assert self._first is not None
        scale = max(self._first - self._best, abs(self._first), abs(self._best))
        return (self._recent() - self._first) / scale if scale > 0 else 0.0

    def _runs_away(self, grad_norm: float) -> bool:
        if self._first is None or not self._losses:
            return False
        loss = self._losses[-1]
        record = loss > self._records[0] and grad_norm > self._records[1]
        self._chain = [*self._chain, grad_norm] if record else []
        self._records = [max(self._records[0], loss), max(self._records[1], grad_norm)]
        if len(self._chain) <= CHAIN or loss <= self._first + abs(self._first):
            return False
        grown = self._chain[-1] > CHAIN_GROWTH * self._chain[-1 - CHAIN]
        told, self._told = self._told, self._told or grown
        return grown and not told

    def _recent(self) -> float:
        recent = [self._losses[index] for index in range(len(self._losses) - RECENT, len(self._losses))]
        return median(recent)
