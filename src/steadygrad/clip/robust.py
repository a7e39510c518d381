"""The default policy: a global-norm clip whose threshold follows the run, from step 0, and survives what it clips."""

import functools
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor

from .._readback import Mailbox, peek
from .._robust import MAD_TO_SIGMA, RobustWindow
from .arguments import count, one_of, positive
from .gradients import Gradients
from .heavy_tails import Direction, HeavyTails, direction_of
from .policy import Policy

NEW_SCALE_STEPS = 4
"""So many rejected norms in a row that agree with each other are a change of scale, not an outlier."""

FAR_SCALE_STEPS = 16
"""The same where the new scale would be more than `MODERATE` times the old: a handful of broken batches is none."""

NEW_SCALE_SPREAD = 2.0
"""What "agree" means, in nats between the largest and the smallest."""

COMMON_HITS = 3
"""So many rejections in `HIT_WINDOW` steps: what is common is not rare, the window starts to learn from it."""

HIT_WINDOW = 64

RECALL_STEPS = 1_024
"""Steps over which moderate outliers are remembered."""

RECURS = 3
"""So many remembered outliers of about the same size make the next one a part of the distribution."""

MODERATE = 300.0
"""Times the median: above it an outlier stays one, however often it comes."""

SMALLEST_SPREAD = 0.2
"""Nats by which norms may differ at the least."""

TOO_FAR = 3.0
"""Reach at which a step throws the weights away, whatever the history says."""

FAR = 0.5
"""Reach at which a norm that also stands out is shortened."""

HARMLESS = 0.1
"""Reach below which a step does no harm, however much its norm stands out, unless momentum takes it `FAR`."""

STANDS_OUT = 2.0
"""Times the median: what standing out means beside a far reach."""

PLAUSIBLE = 1e4
"""A first gradient this many times as large as the weights is scaled down."""

TRUST_START = 0.3
"""Reach at which the trust region begins; it widens to `TOO_FAR`."""


@dataclass(frozen=True, slots=True)
class ClipDecision:
    """What to do with one step's gradient.

    `coefficient` multiplies the gradients (1: leave them alone); `limit` is the norm above which the policy acts;
    `excess` says by how many nats the norm lies above its median, in units of the spread (`None` without a history);
    `hold` asks for one step without an update: there is no history yet and the step would throw the weights away;
    `new_scale` says that what was rejected so far has been accepted as a change of scale; `everyday` that the gradient
    is shortened for the noise that all of them have, and no outlier.
    """

    coefficient: float
    limit: float
    excess: float | None
    hold: bool = False
    new_scale: bool = False
    everyday: bool = False

    @property
    def fires(self) -> bool:
        """Whether the gradients are changed."""
        return self.hold or self.coefficient < 1.0


QUIET = ClipDecision(1.0, math.inf, None)
"""The decision on a norm that is not above the median: nothing to say."""


def _never() -> bool:
    return False


class RobustClip(Policy):
    r"""Global-norm clipping with a threshold from the median and the spread of recent log-norms.

    With :math:`x = \log \|g\|`, :math:`m` the median of the accepted :math:`x` and :math:`s` their spread
    (the larger of 1.4826 MAD, the upper tail :math:`(q_{0.95} - m) / 1.645` and :math:`0.2 + 0.8 / \sqrt n`),
    a gradient is left alone while :math:`x \le m + \max(\log 10, 6 s)` and otherwise scaled to the norm
    :math:`e^{m + s}` (:math:`s` here without the part that few samples add). Working in log space makes a burst of
    1000x an outlier and a drift of 2x none; a norm that was rejected never enters the window, so one bad step cannot
    raise the threshold or turn it off.

    A genuine change of scale is followed: four rejections in a row that agree within two nats replace the window (16 of
    them where it is more than 300-fold: a handful of batches that are broken alike is no change of scale), and when
    rejections are common the window takes them in at the limit. An outlier of moderate size that keeps coming back is a
    part of the distribution (the rare class of an unbalanced problem) and is let through.

    Where the update grows with the gradient there is a second yardstick, the `reach` of a step: how far it would move
    any weight matrix, relative to that matrix. A step of small reach does no harm and is not touched, unless momentum
    carries it far; one that reaches far and stands out is shortened; one of a reach beyond 3 throws the weights away
    and is always shortened, to a trust region that doubles while the norm does not grow. Without any history, a first
    gradient of such a reach is held back for one step.

    Where norms have the tail of a noise without a variance, and large gradients do not agree with each other, every
    gradient above the median is scaled to it, see `HeavyTails`; `tails.noise` says whether that is so.

    In a loop of your own, history decides alone; the reach is known to `steadygrad.watch`. On an accelerator nothing is
    read: the limits come from the norms that have arrived by then, a step or two late, and noise is left in.

    Args:
        window: how many accepted norms are remembered.
        width: how many spreads above the median a norm must lie to be clipped.
        ratio: how many times the median a norm must be, at least, to be clipped.
        nonfinite: what becomes of gradients that are not all finite: "zero" sets all of the step's gradients to zero,
            so that the run survives (momentum moves the weights all the same; the guard and the fold of `attach` leave
            the step out), "keep" leaves them.

    Raises:
        ValueError: `window` < 8, `width` <= 0, `ratio` <= 1 or `nonfinite` is something else.

    Example:
        >>> weight, clip = torch.nn.Parameter(torch.zeros(1)), RobustClip()
        >>> for size in (1.0, 1.1, 0.9, 1e6, float("nan"), 1.2):
        ...     weight.grad = torch.tensor([size])
        ...     result = clip([weight])
        ...     print(round(weight.grad.item(), 1))
        1.0
        1.1
        0.9
        1.2
        0.0
        1.2

    References:
        Pascanu et al., "On the difficulty of training recurrent neural networks", 2013 (the global-norm clip).
        Seetharaman et al., "AutoClip: Adaptive gradient clipping for source separation networks", 2020
        (a threshold from the run's own history).
        Zhang et al., "Why are adaptive methods good for attention models?", 2020 (clipping noise without a variance).
        Kumar et al., "ZClip: Adaptive spike mitigation for LLM pre-training", 2025 (the z-score form).
    """

    scope: ClassVar[str] = "global norm"

    def __init__(
        self,
        *,
        window: int = 128,
        width: float = 6.0,
        ratio: float = 10.0,
        nonfinite: Literal["keep", "zero"] = "zero",
    ) -> None:
        count("window", window, 8)
        self.width = positive("width", width)
        if not ratio > 1:
            raise ValueError(f"ratio is {ratio}, expected more than 1")
        self.ratio = ratio
        one_of("nonfinite", nonfinite, ("keep", "zero"))
        self.nonfinite = nonfinite
        self._accepted = RobustWindow(window)
        self._rejected: deque[float] = deque(maxlen=FAR_SCALE_STEPS)
        self._hits: deque[bool] = deque(maxlen=HIT_WINDOW)
        self._num_hits = 0
        self._trust = TRUST_START
        self._clock = 0
        self._outliers: deque[tuple[int, float]] = deque()
        self._quick, self._quick_left = 0.0, 0
        self._late = Mailbox()
        self._plausible: Tensor | None = None
        self.tails = HeavyTails()

    def rescale_(self, gradients: Gradients) -> None:
        """Decide from the norm where it can be read for nothing, else from what has arrived of the steps before."""
        norm = gradients.norm()
        if self._clock == 0 and self._plausible is None:
            self._plausible = PLAUSIBLE * gradients.weight_norm().clamp(min=1.0)
        values = peek(norm)
        if values is not None:
            if math.isfinite(values[0]):
                # Of what is sharded each rank has other elements, and all ranks must decide alike.
                direction = None if gradients.sharded else functools.partial(direction_of, gradients.grads)
                decision = self.decide(values[0], plausible=self._plausible_norm(), direction=direction)
                gradients.scale_(decision.coefficient)
            return
        for arrived in self._late.collect():
            if math.isfinite(arrived[0]):
                self.decide(arrived[0], plausible=self._plausible_norm())
        gradients.scale_(self._on_device(norm))
        self._late.post(norm)

    def _plausible_norm(self) -> float:
        values = None if self._plausible is None else peek(self._plausible)
        return math.inf if values is None else values[0]

    def _on_device(self, norm: Tensor) -> Tensor:
        """The coefficient of a norm that is not known yet, from what is known of those before it."""
        if not len(self._accepted):
            limit = torch.full_like(norm, math.inf) if self._plausible is None else self._plausible
            return torch.where(norm > limit, 1.0 / norm, 1.0)
        middle, spread = self._level()
        limit = self._limit(middle, spread)
        x = norm.log()
        target = torch.clamp(2 * limit - x, min=self._usual(middle), max=limit)
        return torch.where(x > limit, (target - x).exp(), 1.0)

    @property
    def num_hits(self) -> int:
        """How many of the last 64 steps were rejected."""
        return self._num_hits

    def decide(
        self,
        norm: float,
        *,
        reach: float = 0.0,
        lasting: float = 0.0,
        plausible: float = math.inf,
        worse: Callable[[], bool] = _never,
        direction: Direction | None = None,
    ) -> ClipDecision:
        """Judge one finite global norm.

        Args:
            norm: the L2 norm of all gradients of the step, unscaled, finite.
            reach: the largest |dw| / |w| that the step would make to any weight matrix; 0 where it is not known or
                the optimizer's update does not grow with the gradient.
            lasting: the same of all that momentum makes of the gradient in later steps too; 0 for `reach`.
            plausible: the norm beyond which a very first gradient is scaled down. Where the update does not grow with
                the gradient this changes little if the norm is genuine, and keeps it out of the moments if it is not.
            worse: asks whether the loss says that training is getting worse; then no new scale is accepted.
            direction: gives a sample of the gradient's elements, see `HeavyTails`; it is seldom asked. Without it noise
                is never told from what rare batches have to teach, and left in.

        Returns:
            The decision. Its coefficient is 1 exactly when the gradient is to be left alone.

        Raises:
            ValueError: `norm` is negative or not finite; such a step is the guard's, not the clip's.
        """
        if not 0 <= norm < math.inf:
            raise ValueError(f"norm is {norm}, expected a finite number of at least 0")
        self._clock += 1
        if norm == 0.0:
            return QUIET  # nothing was learned from this batch: that is no scale
        x = math.log(norm)
        self.tails.push(x, direction)
        if not len(self._accepted):
            return self._first(x, reach, plausible)
        if self._quick_left > 0 and x <= self._quick and reach <= FAR:
            self._quick_left -= 1
            self._accept(x)
            return QUIET
        middle, spread = self._level()
        limit = self._limit(middle, spread)
        stands_out = x > middle + max(math.log(STANDS_OUT), 2.0 * spread)
        excess = (x - middle) / spread
        shown = math.exp(min(limit, 700.0))
        rare = x > limit and not (0.0 < reach < HARMLESS and lasting < FAR)
        if not rare and reach <= TOO_FAR and not (reach > FAR and stands_out):
            # Statistics of many steps move slowly: a norm not above the median needs no new ones for a while.
            self._quick, self._quick_left = middle, min(8, len(self._accepted) // 8)
            self._accept(x)
            if self.tails.noise and x > middle:
                return ClipDecision(math.exp(middle - x), math.exp(middle), excess, everyday=True)
            return ClipDecision(1.0, shown, excess)
        if rare and reach == 0.0 and self._recurs(x, middle):
            self._accept(x)
            return ClipDecision(1.0, shown, excess)
        self._reject(x)
        if x > limit and reach <= FAR and not worse():
            far = x > middle + math.log(MODERATE)
            if self._num_hits >= COMMON_HITS and not far:
                self._accepted.push(limit)
            if self._is_new_scale(FAR_SCALE_STEPS if far else NEW_SCALE_STEPS):
                self._accepted.replace(list(self._rejected)[-NEW_SCALE_STEPS:])
                self._rejected.clear()
                return ClipDecision(1.0, shown, excess, new_scale=True)
        # The farther beyond the limit, the more is taken away: a little beyond ends below it, a burst at the usual.
        # Where the reach is known, every step that gets here is dangerous and ends at the usual norm.
        usual = self._usual(middle)
        target = max(usual, min(limit, 2 * limit - x)) if reach == 0.0 else usual
        return ClipDecision(min(math.exp(min(0.0, target - x)), self._within_trust(reach)), shown, excess)

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here."""
        return {
            "accepted": self._accepted.state_dict(),
            "rejected": list(self._rejected),
            "hits": list(self._hits),
            "trust": self._trust,
            "clock": self._clock,
            "outliers": list(self._outliers),
            "tails": self.tails.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._accepted.load_state_dict(state["accepted"])
        self._rejected = deque(state["rejected"], maxlen=FAR_SCALE_STEPS)
        self._hits = deque(state["hits"], maxlen=HIT_WINDOW)
        self._num_hits = sum(self._hits)
        self._trust = float(state["trust"])
        self._clock = int(state["clock"])
        self._outliers = deque((int(step), float(x)) for step, x in state["outliers"])
        self._quick_left = 0
        self.tails.load_state_dict(state["tails"])

    def _level(self) -> tuple[float, float]:
        """The median of the accepted log-norms and their spread; few samples make it wide."""
        middle = self._accepted.median()
        uncertainty = SMALLEST_SPREAD + 0.8 / math.sqrt(len(self._accepted))
        return middle, max(self._seen_spread(middle), uncertainty)

    def _usual(self, middle: float) -> float:
        """Where a burst ends. What the spread owes to having few samples is no reason to let more through."""
        return middle + max(self._seen_spread(middle), SMALLEST_SPREAD)

    def _seen_spread(self, middle: float) -> float:
        upper_tail = (self._accepted.quantile(0.95) - middle) / 1.645
        return max(MAD_TO_SIGMA * self._accepted.mad(), upper_tail)

    def _limit(self, middle: float, spread: float) -> float:
        return middle + max(math.log(self.ratio), self.width * spread)

    def _first(self, x: float, reach: float, plausible: float) -> ClipDecision:
        """No history: only the size of the step itself, and the agreement of two norms, can tell."""
        agrees = bool(self._rejected) and abs(x - self._rejected[-1]) < NEW_SCALE_SPREAD
        if reach > TOO_FAR:
            self._reject(x)
            return ClipDecision(
                self._within_trust(reach) if agrees else 0.0, math.exp(x) * TOO_FAR / reach, None, hold=not agrees
            )
        if reach == 0.0 and plausible < math.exp(min(x, 700.0)) and not agrees:
            self._reject(x)
            return ClipDecision(math.exp(-x), plausible, None)
        self._accept(x)
        return ClipDecision(1.0, math.inf, None, new_scale=agrees)

    def _within_trust(self, reach: float) -> float:
        return min(1.0, self._trust / reach) if reach > 0.0 else 1.0

    def _recurs(self, x: float, middle: float) -> bool:
        """Whether outliers of about this size keep coming back; remembers this one."""
        while self._outliers and self._outliers[0][0] < self._clock - RECALL_STEPS:
            self._outliers.popleft()
        alike = sum(abs(x - other) < NEW_SCALE_SPREAD for _, other in self._outliers)
        self._outliers.append((self._clock, x))
        return alike >= RECURS and x <= middle + math.log(MODERATE)

    def _accept(self, x: float) -> None:
        self._accepted.push(x)
        self._rejected.clear()
        self._hit(False)
        self._trust = TRUST_START

    def _reject(self, x: float) -> None:
        # The trust region of steps that the weights' size forbids: wider while the norm does not grow, else narrower.
        if self._rejected:
            grows = x > self._rejected[-1] + 0.1
            self._trust = max(TRUST_START, self._trust / 2) if grows else min(TOO_FAR, self._trust * 2)
        self._quick_left = 0
        self._rejected.append(x)
        self._hit(True)

    def _hit(self, hit: bool) -> None:
        if len(self._hits) == HIT_WINDOW:
            self._num_hits -= self._hits[0]
        self._hits.append(hit)
        self._num_hits += hit

    def _is_new_scale(self, steps: int) -> bool:
        norms = list(self._rejected)[-steps:]
        agree = len(norms) == steps and max(norms) - min(norms) < NEW_SCALE_SPREAD
        return agree and norms[-1] - norms[0] <= NEW_SCALE_SPREAD / 2
