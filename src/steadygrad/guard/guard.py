"""The guard of one optimizer: judges a step from plain numbers, on the host, in microseconds."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, ClassVar

from ..clip import PLAUSIBLE, ClipDecision, RobustClip
from .growth import Growth
from .held_norm import Grown
from .loss import RECENT, LossLevel
from .state import Stateful
from .updates import HarmlessRate, UpdateLevel

SPIKE_RATIO = 100.0
"""A norm this many times the median, and `SPIKE_WIDTH` spreads above it, is an alarm and not only clipped."""

SPIKE_WIDTH = 10.0
"""Spreads above the median, see `SPIKE_RATIO`. The spread of a handful of norms is a guess, and a wide one: as long as
the loss has no level either, one that lies far above its start is as good a witness."""

SAME_SCALE = 10.0
"""An accepted norm within this factor of a spike shows that the scale has changed."""

SUSTAINED_HITS = 10
"""So many clipped steps among the last 64 are an alarm: something keeps exploding, the clip only holds it."""

RAISED = 4.0
"""A learning rate this many times the highest harmless one drives away a loss that stays above its best."""

BEYOND_GOOD = 1.5
"""The rate over that at which the loss last improved, from which it drives a loss that has come up but a little: near
the peak of a one-cycle schedule it comes up, and goes down again."""

ELEVATED_CHECKS = 2
"""Checks in a row, `RECENT` steps apart, at which the loss must be elevated for that."""

GROWN = 2.0
"""Times their norm when the loss was last at its best: gradients that large have grown with it."""

LOST_CHECKS = 4
"""The same for a closer look at a loss that has come up and stays there."""

KNOWN_SIZES = 3
"""So many accepted norms as large as that show that a run has borne such gradients."""

FIRST_STEPS = 2
"""Norms that must both be far smaller before the very first one is seen to have been out of scale."""

FIRST_RATIO = 300.0
"""How far: no single step of Adam's, bounded by its rate, makes the gradient so much smaller."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a step before it is made.

    `grad_norm` is unscaled; the gradient is multiplied by `held` whatever is ruled; `weight_norm` is that of all
    parameters as last measured; `reach` is the largest |dw| / |w| that the step would make to any weight matrix, 0
    where the update does not grow with the gradient (Adam),
    `lasting` the same of all steps in which momentum carries the gradient on, infinite where most of the gradient lies
    in tensors of which that is not known;
    `moved` is what the step before it has really moved any, NaN if weights are no longer finite, None if not known;
    `lr` is the largest learning rate; `adapts` says that the optimizer divides by what it remembers of gradients;
    `direction` gives a sample of the gradient's elements, and is seldom asked.
    """

    grad_norm: float
    loss: float | None
    weight_norm: float
    reach: float = 0.0
    moved: float | None = None
    lr: float | None = None
    adapts: bool = False
    lasting: float = 0.0
    direction: Callable[[], Sequence[float]] | None = None
    held: float = 1.0

    @property
    def held_norm(self) -> float:
        """The norm of what the step is made with, unless it is clipped."""
        return self.held * self.grad_norm


@dataclass(frozen=True, slots=True)
class Raised:
    """A detector's alarm, `late` steps after the step that it is about."""

    detector: str
    detail: dict[str, Any]
    late: int = 0


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do with a step. `action` is "", "clip", "skip", "hold" (a skip for want of a second opinion) or "undo".

    With "" gradients may be scaled all the same: for noise that every step has, see `HeavyTails`.
    "undo" says that the step before this one has thrown the weights away: this one is not made, that one taken back.
    """

    action: str
    coefficient: float = 1.0
    alarms: tuple[Raised, ...] = ()
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether the step is not to be made."""
        return self.action in {"skip", "hold", "undo"}


LOSS_ALONE = 8
"""Steps in a row that are left out for their loss alone, while gradients are finite; what follows is made."""


class Guard(Stateful):
    """Judges the steps of one optimizer. A step that is rejected enters no statistic.

    A spike is an alarm once it is over: a norm that stays up is a change of scale (a new task, a longer context), and
    no fault. So its alarm comes up to four steps late, with the number of the step that it is about.

    Args:
        use_loss: whether the loss may decide. Not where ranks see different losses and must decide alike.

    Example:
        >>> guard = Guard()
        >>> sound = Measured(grad_norm=1.0, loss=2.0, weight_norm=10.0, reach=0.01)
        >>> guard.judge(sound).action
        ''
        >>> guard.judge(Measured(math.nan, 2.0, 10.0)).action
        'skip'
        >>> guard.judge(sound).action
        ''
    """

    KEPT: ClassVar[tuple[str, ...]] = (
        *("level", "updates", "rates", "_norm_growth", "_weight_growth", "_weight_norm", "_first_norms"),
        *("_largest", "_sustained", "_diverging", "_elevated", "_highest_raise", "_told_divergence", "_loss_alone"),
        *("_known_best", "_norm_at_best", "_highest_beyond"),
    )

    def __init__(self, clip: RobustClip | None = None, *, use_loss: bool = True) -> None:
        self.clip = RobustClip() if clip is None else clip
        self.level = LossLevel()
        self.updates = UpdateLevel()
        self.rates = HarmlessRate()
        self.use_loss = use_loss
        self._norm_growth = Growth(least=1.1, total=8.0)
        self._weight_growth = Growth(least=1.02, total=2.0, every=1)
        self._weight_norm = 0.0
        self._first_norms: list[float] | None = []
        self._largest: list[float] = []
        self._sustained = False
        self._suspect: Raised | None = None
        self._diverging = ""
        self._elevated = 0
        self._loss_alone = 0
        self._highest_raise = 1.0
        self._highest_beyond = 0.0
        self._told_divergence = False
        self._adapts = False
        self._known_best = math.inf
        self._norm_at_best = 0.0

    def incident(self) -> str:
        """What is going on that clipping does not end; empty when nothing is."""
        if self.clip.num_hits >= SUSTAINED_HITS:
            return "sustained-clipping"
        if self._diverging and not (self.level.worse() or self.level.elevated()):
            self._diverging = ""
        return self._diverging

    def grown(self) -> Grown | None:
        """How far accepted gradients have grown since the loss was at its best, where steps have grown with them."""
        norm = self.level.norm()
        if self._adapts or norm is None or not norm > GROWN * self._norm_at_best > 0.0:
            return None
        if self.rates.raised() > GROWN:
            return None  # what makes steps longer is the rate, and that can be lowered
        return Grown(self._norm_at_best, norm / self._norm_at_best)

    def judge(self, measured: Measured) -> Ruling:
        """Rule on a step.

        Args:
            measured: what is known of the step; norms and loss may be non-finite.

        Returns:
            What to do. With `use_loss=False` the ruling depends on gradients, learning rate and weights alone.
        """
        if self._suspect is not None:
            self._suspect = replace(self._suspect, late=self._suspect.late + 1)
        loss = measured.loss if self.use_loss else None
        if loss is not None and math.isfinite(loss):
            self.level.see(loss)
        self._adapts = measured.adapts
        numbers = {"grad_norm": measured.held_norm, "loss": measured.loss}
        thrown = self._thrown(measured, loss)
        if not math.isfinite(measured.grad_norm):
            return Ruling("skip", 0.0, (*self.settle(), *thrown, Raised("nonfinite-gradient", numbers)), numbers)
        if loss is not None and not math.isfinite(loss):
            self._loss_alone += 1
            if self._loss_alone <= LOSS_ALONE:
                return Ruling("skip", 0.0, (*self.settle(), *thrown, Raised("nonfinite-loss", numbers)), numbers)
            loss = None  # the number overflows, its gradient does not: to leave such steps out ends nothing
        elif loss is not None:
            self._loss_alone = 0
        if thrown:
            return Ruling("undo", 0.0, (*self.settle(), *thrown), {**numbers, "update_ratio": measured.moved})
        decision = self.clip.decide(
            measured.held_norm,
            reach=measured.reach,
            lasting=measured.lasting,
            plausible=PLAUSIBLE * max(measured.weight_norm, 1.0),
            worse=self.level.worse,
            direction=measured.direction,
        )
        first = self._first_was_out_of_scale(measured)
        if first:
            return Ruling("undo", 0.0, first, {**numbers, "first_norm": first[0].detail["grad_norm"]})
        if decision.everyday or not decision.fires:
            return Ruling("", decision.coefficient, self._accepted(loss, measured, decision, numbers))
        numbers["limit"] = decision.limit
        if measured.reach:
            numbers["update_ratio"] = measured.reach
        if decision.hold:
            return Ruling("hold", 0.0, (Raised("update-spike", numbers),), numbers)
        numbers["coefficient"] = decision.coefficient
        return Ruling("clip", decision.coefficient, self._rejected(measured, decision, loss, numbers), numbers)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here, as numbers, text, lists and dictionaries."""
        suspect = None if self._suspect is None else asdict(self._suspect)
        return {**super().state_dict(), "clip": self.clip.state_dict(), "suspect": suspect}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        super().load_state_dict(state)
        self.clip.load_state_dict(state["clip"])
        self._suspect = None if state["suspect"] is None else Raised(**state["suspect"])

    def _thrown(self, measured: Measured, loss: float | None) -> tuple[Raised, ...]:
        """An alarm if the step before this one has thrown the weights away, and the loss shows it."""
        moved = measured.moved
        if moved is None:
            return ()
        if not self.updates.thrown(moved):
            self.updates.push(moved)
            return ()
        if not math.isfinite(moved):
            return (Raised("nonfinite-parameter", {"update_ratio": moved}, late=1),)
        known = loss is not None and math.isfinite(loss)
        if loss is not None and known and not self.level.far_above(loss):
            self.updates.push(moved)  # far, and no harm done: a new scale of updates
            return ()
        usual = self.updates.usual_over(moved)
        raised = self.rates.raised(measured.lr)
        detail = {"update_ratio": moved, "usual_over_it": usual, "loss": loss, "lr_raised_now": raised}
        return (Raised("update-spike", detail, late=1),)

    def _first_was_out_of_scale(self, measured: Measured) -> tuple[Raised, ...]:
        """An alarm if the gradients after the first are far smaller: Adam's second moments will not forget it soon."""
        norm = measured.grad_norm
        if self._first_norms is None or norm <= 0.0 or not measured.adapts:
            return ()
        self._first_norms.append(norm)
        if len(self._first_norms) <= FIRST_STEPS:
            return ()
        first, *others = self._first_norms
        self._first_norms = None
        if first <= FIRST_RATIO * max(others):
            return ()
        return (Raised("gradient-spike", {"grad_norm": first, "next": max(others)}, late=FIRST_STEPS),)

    def lost_ground(self, *, soon: bool = False) -> bool:
        """Whether what the loss has learned has been gone for long, and no alarm has said so; asked at each check.

        Alone that is no fault: data may have become harder.

        Args:
            soon: whether it may be so at the next check.
        """
        if self._told_divergence or not self.level.at_check:
            return False
        gone = self.level.learned() and self.level.worse()
        return gone and self._elevated >= LOST_CHECKS - soon

    @property
    def elevated_for(self) -> int:
        """Accepted losses since the last check at which the loss was not elevated."""
        return RECENT * self._elevated

    def told_lost_ground(self) -> None:
        """It has been said; once an episode is enough."""
        self._told_divergence = True

    def dismiss(self) -> None:
        """That the run drifts away has been refuted: it is no incident that goes on."""
        self._diverging = ""

    def settle(self) -> tuple[Raised, ...]:
        """The alarm of a spike that has not been explained by a change of scale; asked at the end of a run too."""
        suspect, self._suspect = self._suspect, None
        return () if suspect is None else (suspect,)

    def _accepted(
        self, loss: float | None, measured: Measured, decision: ClipDecision, numbers: dict[str, Any]
    ) -> tuple[Raised, ...]:
        if loss is not None:
            self.level.push(loss)
        self._largest = sorted((*self._largest, measured.held_norm))[-KNOWN_SIZES:]
        self._sustained = self._sustained and self.clip.num_hits >= SUSTAINED_HITS // 2
        still_up = self._suspect is not None and measured.held_norm > self._suspect.detail["grad_norm"] / SAME_SCALE
        if decision.new_scale or still_up:
            self._suspect = None
        raised = self.settle()
        return raised if loss is None else raised + self._drifting(measured, numbers)

    def _drifting(self, measured: Measured, numbers: dict[str, Any]) -> tuple[Raised, ...]:
        """An alarm if the run drifts away; once an episode."""
        away = self.level.diverges(measured.grad_norm)
        norm_grows = self._norm_growth.push(measured.grad_norm)
        weights_grow = False
        if self.level.at_check:
            self._check(measured.lr)
            if measured.weight_norm != self._weight_norm:  # it is measured now and then
                self._weight_norm = measured.weight_norm
                weights_grow = self._weight_growth.push(measured.weight_norm)
        far = self._highest_beyond > BEYOND_GOOD or self.level.worse()
        driven = self._elevated >= ELEVATED_CHECKS and self._highest_raise > RAISED and far
        lost = self._elevated >= ELEVATED_CHECKS and self.level.learned() and self.level.worse()
        grows = (norm_grows or weights_grow) and lost
        name = "loss-divergence" if away or driven else "sustained-growth" if grows else ""
        if not name or (self._told_divergence and not away):
            return ()
        self._told_divergence = True
        self._diverging = name
        now = self.rates.raised(measured.lr)
        detail = {**numbers, "best": self.level.best, "lr_raised": self._highest_raise, "lr_raised_now": now}
        detail["lr_beyond_good"] = self.rates.beyond_good(measured.lr)
        if grows:
            detail |= {"norm_grew": self._norm_growth.factor, "weights_grew": self._weight_growth.factor}
        return (Raised(name, detail, late=RECENT * self._elevated),)

    def _check(self, lr: float | None) -> None:
        """Every eight accepted losses: is it above its best, and since when, and was the rate raised by then?"""
        elevated = self.level.elevated()
        self.rates.check(lr, sound=not elevated, best=self.level.best)
        self._elevated = self._elevated + 1 if elevated else 0
        self._highest_raise = max(self._highest_raise if elevated else 1.0, self.rates.raised())
        self._highest_beyond = max(self._highest_beyond if elevated else 0.0, self.rates.beyond_good(lr))
        if not elevated:
            self._told_divergence = False
        if self.level.best != self._known_best:  # lower, or what is now was made the new best
            self._known_best, self._norm_at_best = self.level.best, self.level.norm() or 0.0

    def _rejected(
        self, measured: Measured, decision: ClipDecision, loss: float | None, numbers: dict[str, Any]
    ) -> tuple[Raised, ...]:
        if measured.reach > 1.0:
            return (*self.settle(), Raised("update-spike", numbers))
        if decision.excess is None:
            self._suspect = Raised("gradient-spike", numbers)
            return ()
        if self.clip.num_hits >= SUSTAINED_HITS and not self._sustained:
            self._sustained = True
            return (*self.settle(), Raised("sustained-clipping", numbers))
        far = measured.held_norm > decision.limit * SPIKE_RATIO / self.clip.ratio
        # Where updates do not grow with the gradient, one of a size that the run has had and borne is no explosion: a
        # policy that has learned its game has next to no gradient, but for the rare game that it loses.
        borne = not measured.reach and len(self._largest) == KNOWN_SIZES and measured.held_norm <= self._largest[0]
        seen_in_loss = loss is not None and not self.level.known and self.level.far_above(loss)
        if self._suspect is None and (decision.excess > SPIKE_WIDTH or seen_in_loss) and far and not borne:
            self._suspect = Raised("gradient-spike", numbers)
        return self.settle() if self._suspect is not None and self._suspect.late >= 4 else ()
