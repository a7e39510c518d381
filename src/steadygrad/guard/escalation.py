"""What comes next when what was done has not helped: back to a snapshot, a lower learning rate, the end. Bounded."""

import copy
import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any, ClassVar

from .._recorded import recorded
from ..records import DRIFTS
from .guard import RAISED, Raised, Ruling
from .held_norm import Grown, HeldNorm
from .ladder import HALVING, LEAST, Ladder, Rung
from .loss import LossLevel
from .state import Stateful
from .updates import THROWN

LOST_BEFORE_ROLLBACK = (8, 16)
"""Steps lost in a row at which the run is rolled back: leaving them out does not help."""

MOST_LOST = 32
"""Steps lost in a row at which the run is stopped. Never are more than these lost in a row."""

LOST_WINDOW = 128
MOST_LOST_OF_WINDOW = 96
"""So many lost steps among the last ones stop a run that keeps making a step in between."""

MOST_ROLLBACKS = 5
"""Rollbacks in one incident."""

LOWER = (1.0, 0.5, 0.25, 0.25, 0.25)
"""By what the learning rate is multiplied with each of them: at first it is left alone."""

UNKNOWN = 0.125
"""The part of a rate that is tried where steps are far too long, and nobody knows by how much."""

CALM = 8
"""Steps made since the last alarm after which an incident may be over."""

VERIFY = 48
"""Steps made since the last change in which the loss must have come back, or what was done has not helped."""

NO_DIFFERENCE, HELPED = 0.25, 0.5
"""Parts of the way to where the loss belongs: below the one a rollback has brought nothing, from the other it has
helped."""

REPEAT = 64
"""Steps after an incident within which a new one is the same: it goes on where that one had come to."""


@dataclass(slots=True)
class Incident:
    """One episode, from its first alarm to its verified end.

    `step` is the step it began with; `detector` what saw it first; `limit` the loss that counts as back, None where no
    loss is known; `tried` the rungs so far, in order; `status` is "open", "recovered", "unresolved" or "stopped";
    `part` is what of the script's rate its first step was made with; `returned` says that the script's own rate was
    given back in it once, `thrown` that a step has thrown the weights away, `helped` that going back has brought the
    loss down once, if not far enough.
    """

    optimizer: int
    step: int
    detector: str
    limit: float | None
    detail: Mapping[str, Any] = field(default_factory=dict)
    tried: list[str] = field(default_factory=list)
    status: str = "open"
    part: float = 1.0
    returned: bool = False
    thrown: bool = False
    helped: bool = False

    @property
    def rollbacks(self) -> int:
        """How often it was rolled back."""
        return self.tried.count("roll-back")


@dataclass(frozen=True, slots=True)
class Order:
    """Something to be done beside the step: "lower-lr", "return-lr", "clip-growth", "end-clip-growth", "roll-back",
    "stop", "recovered", "give-up"."""

    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)


ENDS = frozenset({"recovered", "give-up", "stop"})
"""Orders that end an incident."""


class Escalation(Stateful):
    """Decides what comes after clipping and skipping, for one optimizer.

    Args:
        optimizer: its number, for the record.
        holds: whether gradients may be held to a norm.
        for_good: give the script's own rate back only when asked to, however quiet it is.

    Example:
        >>> escalation, level = Escalation(0), LossLevel()
        >>> lost = Ruling("skip", 0.0, (Raised("nonfinite-loss", {}),))
        >>> for step in range(32):
        ...     for order in escalation.observe(step, lost, level, "", can_roll_back=True):
        ...         print(step, order.action)
        7 roll-back
        15 roll-back
        31 stop
    """

    KEPT: ClassVar[tuple[str, ...]] = (
        "_lost",
        "_window",
        "_calm",
        "_since_change",
        "_since_end",
        "_before_rollback",
        "_recent",
        "ladder",
        "held",
    )

    def __init__(self, optimizer: int, *, holds: bool = True, for_good: bool = False) -> None:
        self._optimizer = optimizer
        self._lr: float | None = None
        self._recent: deque[float] = deque(maxlen=CALM)
        self._better_before = True
        self._holds = holds
        self.ladder = Ladder(for_good=for_good)
        self.held = HeldNorm()
        self.incident: Incident | None = None
        self.ended: Incident | None = None
        self._lost = self._before = 0
        self._window: deque[bool] = deque(maxlen=LOST_WINDOW)
        self._calm = 0
        self._since_change = 0
        self._since_end = 0
        self._before_rollback: float | None = None

    def observe(
        self,
        step: int,
        ruling: Ruling,
        level: LossLevel,
        going_on: str,
        *,
        can_roll_back: bool,
        better_before: bool = True,
        loss: float | None = None,
        lr: float | None = None,
        norm: float = 0.0,
        grown: Callable[[], Grown | None] = lambda: None,
        damaged: Callable[[], Sequence[str]] = tuple,
        refuted: Callable[[], bool] = lambda: False,
    ) -> list[Order]:
        """Tell of a step that was ruled on.

        Args:
            step: its number.
            ruling: what was decided.
            level: the losses of accepted steps.
            going_on: what clipping does not end, see `Guard.incident`.
            better_before: whether the loss was better there than it is now. What a finite loss shows is no reason to go
                back to a worse one.
            loss: the loss at this step, of clipped ones too.
            lr: the script's own learning rate at this step, if it is known and can be lowered.
            norm: that of the gradient, before anything was done to it.
            grown: how far gradients have grown since the loss was at its best, if steps have grown with them.
            can_roll_back: whether there is a proven snapshot and the state is another one by now.
            damaged: names weights and states that are not finite; asked at the first of some lost steps.
            refuted: whether it was seen that no weights of before do better on the batches of now; asked when the loss
                has not come back in time, or is above its start while everything is clipped.

        Returns:
            What is to be done, in order.
        """
        self._lr = lr
        self.ladder.made(lr)
        if loss is not None and not ruling.lost and math.isfinite(loss):
            self._recent.append(loss)
        self._better_before = better_before
        self._before = self._lost
        self._lost = self._lost + 1 if ruling.lost else 0
        self._window.append(ruling.lost)
        self._calm = 0 if ruling.alarms or ruling.lost else self._calm + 1
        self._since_change += not ruling.lost
        self._since_end += 1
        for raised in ruling.alarms or ((Raised("lost-step", ruling.detail),) if ruling.lost else ()):
            self._open(step, raised, level)
        if self.incident is not None:
            self.incident.thrown |= ruling.action == "undo"
        orders = self._on_the_spot(step, ruling, level, going_on, can_roll_back, damaged, refuted, grown)
        if not orders and self.incident is not None and not ruling.lost:
            orders = self._verified(level, going_on, can_roll_back, refuted)
        if not any(order.action == "stop" for order in orders):
            if going_on == "sustained-clipping":
                orders += self._hold(grown(), going_on)
            rung = self.ladder.observe(going_on, lr)
            if rung is not None:
                orders.append(self._changed_rate(rung))
            if not ruling.lost and self.held.observe(norm):
                orders.append(Order("end-clip-growth"))
        return orders

    @property
    def last_loss(self) -> float | None:
        """The loss of the last step that was made, clipped or not."""
        return self._recent[-1] if self._recent else None

    @property
    def verifies_soon(self) -> bool:
        """Whether at the next steps it will be decided what follows an incident."""
        return self.incident is not None and self._since_change >= VERIFY - 2

    def taken_back(self) -> None:
        """The step that was told of last as made has been undone: it is told of again as lost."""
        self._lost = self._before
        self._window.pop()

    def repaired(self) -> None:
        """What was wrong has been put right, as far as is known: what was counted until now is no evidence any more."""
        self._lost = self._before = 0
        self._window.clear()
        self._recent.clear()
        self._calm = self._since_change = 0
        self.held = HeldNorm()

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here."""
        incidents = {
            name: None if incident is None else asdict(incident)
            for name, incident in (("incident", self.incident), ("ended", self.ended))
        }
        return {**super().state_dict(), **incidents}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        super().load_state_dict(state)
        self.incident = None if state["incident"] is None else Incident(**copy.deepcopy(dict(state["incident"])))
        self.ended = None if state["ended"] is None else Incident(**copy.deepcopy(dict(state["ended"])))

    def _open(self, step: int, raised: Raised, level: LossLevel) -> None:
        if self.incident is not None:
            return
        onset = step - raised.late
        if self.ended is not None and self.ended.tried and self._since_end <= REPEAT:
            # The same again: what had been tried has not held.
            self.incident, self.ended = self.ended, None
            self.incident.status = "open"
        else:
            limit = level.limit(since_best=raised.detector in DRIFTS)
            detail, part = dict(raised.detail), self.ladder.part
            self.incident = Incident(self._optimizer, onset, raised.detector, limit, detail, part=part)
        self._since_change = 0
        self._before_rollback = None

    def _on_the_spot(
        self,
        step: int,
        ruling: Ruling,
        level: LossLevel,
        going_on: str,
        can_roll_back: bool,
        damaged: Callable[[], Sequence[str]],
        refuted: Callable[[], bool],
        grown: Callable[[], Grown | None],
    ) -> list[Order]:
        """What cannot wait for a verification."""
        incident = self.incident
        if incident is None:
            return []
        if self._lost >= MOST_LOST:
            return [self._stop(recorded("{count} steps in a row could not be made", count=self._lost))]
        if sum(self._window) >= MOST_LOST_OF_WINDOW:
            counts = {"count": sum(self._window), "window": len(self._window)}
            return [self._stop(recorded("{count} of the last {window} steps could not be made", **counts))]
        if ruling.action == "undo":
            usual = min((a.detail.get("usual_over_it", 1.0) for a in ruling.alarms), default=1.0)
            first = any(a.detector == "gradient-spike" for a in ruling.alarms)
            why = (
                recorded("the first gradient was out of scale")
                if first
                else recorded("the steps before have thrown the weights away")
            )
            # With a rate that no harmless step has ever had, the state is not what has thrown them.
            raised = max((a.detail.get("lr_raised_now", 1.0) for a in ruling.alarms), default=1.0)
            if raised > RAISED:
                return self._back(why, can_roll_back, 1.0 / raised, lower=True)
            # Gradients that had grown for long have thrown them: held, the first time, in place of a lower rate.
            held = self._hold(grown(), why)
            return [*self._back(why, can_roll_back, usual, lower=not can_roll_back and not held), *held]
        drift = next((raised for raised in ruling.alarms if raised.detector in DRIFTS), None)
        if drift is not None:
            can_roll_back = can_roll_back and self._better_before
            if drift.detail.get("lr_raised", 1.0) > RAISED:
                # By now the script may have taken the rate back itself.
                raised = max(1.0, float(drift.detail.get("lr_beyond_good", drift.detail["lr_raised_now"])))
                why = recorded("the learning rate drives the loss away")
                return self._back(why, can_roll_back, 1.0 / raised, lower=raised > 2.0)
            better = drift.detail.get("weights_of")
            why = (
                recorded("the loss drifts away")
                if better is None
                else recorded("the weights of step {step} do better on the batches of now", step=better)
            )
            # Steps that were tried beside the training have shown which part of the rate it bears.
            stable = float(drift.detail.get("stable_factor", 1.0))
            explained = "cause" in drift.detail or better is not None or level.above_start()
            if explained and self.held.active and refuted():
                return []  # the loss grows, and steps do not
            # Growth that is held needs no lower rate yet. A loss that has gone far at once is none.
            held = self._hold(grown(), why) if drift.detector == "sustained-growth" else []
            return [*self._back(why, can_roll_back, stable, lower=not held), *held] if explained else held
        if can_roll_back and self._better_before and self._holds_nothing(ruling, level, going_on) and not refuted():
            why = recorded("the loss rises above where the run began")
            return self._back(why, can_roll_back, self._bearable(level), lower=True)
        if self._lost == 1:
            names = damaged()
            if names:
                return self._back(recorded("not finite: {names}", names=", ".join(names[:3])), can_roll_back)
        if self._lost in LOST_BEFORE_ROLLBACK:
            return self._back(recorded("{count} steps in a row could not be made", count=self._lost), can_roll_back)
        return []

    def _hold(self, grown: Grown | None, why: str) -> list[Order]:
        """Hold gradients that have grown, and steps with them, to the norm from before, once."""
        if grown is None or not self._holds or self.held.active:
            return []
        self.held.hold(grown.before)
        self.ladder.wait()
        self._since_change = 0
        if self.incident is not None:
            self.incident.tried.append("clip-growth")
        return [Order("clip-growth", {"norm": grown.before, "grew": grown.times, "reason": why})]

    def _holds_nothing(self, ruling: Ruling, level: LossLevel, going_on: str) -> bool:
        """Whether the loss rises above its start however much is clipped.

        An optimizer that divides by the gradient's size goes as far with what is left of it; and steps that are cut to
        a part of the weights throw them away all the same, if each would have been longer than they are.
        """
        now = self._now()
        seen = {raised.detector for raised in ruling.alarms}
        clips_on = "sustained-clipping" in seen or (going_on == "sustained-clipping" and "update-spike" in seen)
        return clips_on and now is not None and level.above_start(now)

    def _bearable(self, level: LossLevel) -> float:
        """What part of the rate of the last step has steps that weights bear, where the one at the first alarm would
        have been longer than the weights themselves: what that was with weights that a step before had thrown says
        nothing of it. Since then the rate may have been lowered."""
        assert self.incident is not None
        reach, loss = (self.incident.detail.get(name) for name in ("update_ratio", "loss"))
        if reach is None or not reach > 1.0:
            return 1.0
        bearable = UNKNOWN if loss is not None and level.far_above(loss) else max(THROWN / reach, LEAST)
        return bearable * self.incident.part / self.ladder.part

    def _verified(
        self, level: LossLevel, going_on: str, can_roll_back: bool, refuted: Callable[[], bool]
    ) -> list[Order]:
        """Close the incident if all is well again; if it is not in time, take the next rung."""
        incident, now = self.incident, self._now()
        assert incident is not None
        unknown = incident.limit is None or (now is None and self._since_change >= VERIFY)
        if now is None and not unknown:
            return []
        if unknown or now is None or incident.limit is None or now <= incident.limit:
            over = self._calm >= CALM and not going_on
            return [self._end("recovered", "recovered", {"loss": now, "limit": incident.limit})] if over else []
        difference = self._difference(now, incident.limit)
        incident.helped |= difference >= HELPED
        if self._calm >= CALM and difference < NO_DIFFERENCE:
            return self._give_up(level, now, recorded("it made no difference"))
        if self._since_change < VERIFY:
            return []
        self._since_change = 0
        if refuted():
            # Of a loss that stays; how far steps went is another matter.
            why = recorded("no weights of before do better on the batches of now")
            return self._give_up(level, now, "" if incident.thrown else why)
        if incident.rollbacks < MOST_ROLLBACKS and can_roll_back and self._better_before:
            return self._back(recorded("the loss has not come back"), can_roll_back)
        if level.above_start(now):
            return [self._stop(recorded("the loss stays above where the run began"))]
        return self._give_up(level, now)

    def _give_up(self, level: LossLevel, now: float, why: str = "") -> list[Order]:
        """What is now is how it is; if it is known `why`, the script's own rate is given back: once.

        If the same comes again with it, the rate did make a difference, whatever the loss says; and so it did where the
        loss has come down a good part of the way.
        """
        assert self.incident is not None
        gives_back = bool(why) and not self.incident.returned and not self.incident.helped
        self.incident.returned |= gives_back
        level.rebase()
        end = self._end("unresolved", "give-up", {"loss": now, "limit": self.incident.limit})
        rung = self.ladder.give_back(why) if gives_back else None
        return [end] if rung is None else [end, self._changed_rate(rung)]

    def _now(self) -> float | None:
        """The level of the last steps that were made, clipped or not."""
        return median(self._recent) if len(self._recent) == CALM else None

    def _difference(self, now: float, limit: float) -> float:
        """What part of the way to where the loss belongs a rollback has brought; NaN where that is not to be known."""
        before = self._before_rollback
        if self._since_change != CALM or before is None or before <= limit:
            return math.nan  # after a single long step the level is still what it was
        return (before - now) / (before - limit)

    def _back(self, why: str, can_roll_back: bool, usual: float = 1.0, *, lower: bool = False) -> list[Order]:
        """Roll back, and lower the rate too if going back alone has not helped."""
        incident = self.incident
        assert incident is not None
        if incident.rollbacks >= MOST_ROLLBACKS:
            return [self._stop(recorded("{why}, after {count} rollbacks", why=why, count=incident.rollbacks))]
        orders: list[Order] = []
        share = HALVING
        self._before_rollback = self._now() if can_roll_back else None
        if can_roll_back:
            # The second time with a lower rate, the third to an older state as well.
            share = LOWER[incident.rollbacks]
            lower = lower or incident.rollbacks > 0
            orders.append(Order("roll-back", {"reason": why, "older": incident.rollbacks > 1}))
            incident.tried.append("roll-back")
            self._recent.clear()
            self._calm = 0
        self._since_change = 0
        if lower:
            known = usual < min(share, HALVING)
            rung = self.ladder.down(why, self._lr, usual if known else share, known=known)
            if rung is not None:
                orders.append(self._changed_rate(rung))
        return orders

    def _changed_rate(self, rung: Rung) -> Order:
        if rung.factor == 1.0:
            return Order("return-lr", {"factor": rung.factor, "reason": rung.reason})
        if self.incident is not None:
            self.incident.tried.append("lower-lr")
        self._since_change = 0
        return Order("lower-lr", {"factor": rung.factor, "reason": rung.reason})

    def _stop(self, why: str) -> Order:
        assert self.incident is not None
        since, tried = self.incident.step, list(self.incident.tried)
        return self._end("stopped", "stop", {"reason": why, "since": since, "tried": tried})

    def _end(self, status: str, action: str, detail: Mapping[str, Any]) -> Order:
        assert self.incident is not None
        self.incident.status = status
        numbers = {k: v for k, v in detail.items() if not (isinstance(v, float) and math.isnan(v))}
        order = Order(action, {"since": self.incident.step, "detector": self.incident.detector, **numbers})
        self.ended, self.incident = self.incident, None
        self._since_end = 0
        return order
