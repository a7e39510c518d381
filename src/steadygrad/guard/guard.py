"""The guard of one optimizer: judges a step from plain numbers, on the host, in microseconds."""

import math
from dataclasses import dataclass, field
from typing import Any

from ..clip import RobustClip
from .loss import LossLevel

CEILING = 3.0
"""An update so many times as large as the weights it changes throws them away."""

PLAUSIBLE = 1e4
"""A first gradient this many times as large as the weights is held back for a second opinion."""

SPIKE_RATIO = 100.0
"""A norm this many times the median, and `SPIKE_WIDTH` spreads above it, is an alarm and not only clipped."""

SPIKE_WIDTH = 10.0

SUSTAINED_HITS = 10
"""So many clipped steps among the last 64 are an alarm: something keeps exploding, the clip only holds it."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What is known of a step before it is made.

    `grad_norm` is unscaled; `weight_norm` is that of all parameters as last measured; `reach` is the largest
    |dw| / |w| that the step would make to any weight matrix, 0 where the update does not grow with the gradient (Adam).
    """

    grad_norm: float
    loss: float | None
    weight_norm: float
    reach: float = 0.0


@dataclass(frozen=True, slots=True)
class Ruling:
    """What to do with a step. `action` is "", "clip", "skip" or "hold" (a skip for want of a second opinion)."""

    action: str
    coefficient: float = 1.0
    alarm: str | None = None
    detail: dict[str, Any] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether the step is not to be made."""
        return self.action in {"skip", "hold"}


class Guard:
    """Judges the steps of one optimizer. A step that is rejected enters no statistic.

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

    def __init__(self, clip: RobustClip | None = None, *, use_loss: bool = True) -> None:
        self.clip = RobustClip() if clip is None else clip
        self.level = LossLevel()
        self.use_loss = use_loss
        self._sustained = False

    def judge(self, measured: Measured) -> Ruling:
        """Rule on a step.

        Args:
            measured: what is known of the step; norms and loss may be non-finite.

        Returns:
            What to do. With `use_loss=False` the ruling depends on gradients, learning rate and weights alone.
        """
        loss = measured.loss if self.use_loss else None
        numbers = {"grad_norm": measured.grad_norm, "loss": measured.loss}
        if not math.isfinite(measured.grad_norm):
            return Ruling("skip", 0.0, "nonfinite-gradient", numbers)
        if loss is not None and not math.isfinite(loss):
            return Ruling("skip", 0.0, "nonfinite-loss", numbers)
        reaches = 0.0 < measured.reach < math.inf
        ceiling = CEILING * measured.grad_norm / measured.reach if reaches else math.inf
        decision = self.clip.decide(
            measured.grad_norm,
            ceiling=ceiling,
            plausible=PLAUSIBLE * max(measured.weight_norm, 1.0),
            worse=self.level.worse,
        )
        if not decision.fires:
            if loss is not None:
                self.level.push(loss)
            self._sustained = self._sustained and self.clip.num_hits >= SUSTAINED_HITS // 2
            return Ruling("")
        numbers["limit"] = decision.limit
        if reaches:
            numbers["update_ratio"] = measured.reach
        alarm = self._alarm(measured, decision.limit, decision.excess)
        if decision.hold:
            return Ruling("hold", 0.0, "gradient-spike", numbers)
        numbers["coefficient"] = decision.coefficient
        return Ruling("clip", decision.coefficient, alarm, numbers)

    def _alarm(self, measured: Measured, limit: float, excess: float | None) -> str | None:
        if measured.reach > 1.0:
            return "update-spike"
        if excess is not None and excess > SPIKE_WIDTH and measured.grad_norm > limit * SPIKE_RATIO / self.clip.ratio:
            return "gradient-spike"
        if self.clip.num_hits >= SUSTAINED_HITS and not self._sustained:
            self._sustained = True
            return "sustained-clipping"
        return None
