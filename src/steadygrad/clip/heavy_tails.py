"""Noise of infinite variance: told from what a few rare batches have to teach, by the norms and their directions."""

import math
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import torch
from torch import Tensor

from .._foreach import dense_values
from .._readback import read_array
from .._robust import RobustWindow

WINDOW = 256
"""Norms that are judged together."""

NEIGHBOURS = 9
"""Steps whose median a norm is compared with: a drift is no tail."""

EVERY = 8
"""Steps from one judgement to the next."""

SUSPECTED_FROM, JUDGED_FROM = 64, 128
"""Norms that must be there."""

QUANTILES = (0.125, 0.5, 0.75, 0.875, 0.9375)
"""Above the median each is half as often exceeded as the one before it."""

NATS_OF_INFINITE_VARIANCE = 1.0
"""From the median to the last quantile a power law of index a has ln 8 / a, so 1.04 at index 2; less the part that the
median of the neighbours takes."""

NATS_OF_NO_MEAN = 2.1
"""The same where not even the mean exists: such a spread has another reason, two kinds of batches for one."""

SKEWED = 1.5
"""Times the way from the lower eighth to the median that the way from there to the upper eighth must have: 2.5 in a
power law, 1 where the logarithm is as often small as large (batches of different sizes, tokens, difficulties)."""

UNEVEN = 2.5
"""The longest step between the upper quantiles over the shortest: 1 in a power law. Two kinds of batches have a gap."""

AGREEING = 4
"""Judgements in a row."""

SUSPECTED_NATS, SUSPECTED_SKEW = 0.7, 1.175
"""Beyond these it is suspected, and directions are kept; below them, as often in a row, it ends."""

DIRECTIONS, ENOUGH_DIRECTIONS = 64, 32
"""Gradients whose directions are kept, and that must be there."""

OWN_DIRECTION = 0.05
"""Mean cosine between large gradients above which they have a direction of their own."""

SAMPLED_TENSORS, SAMPLED_ELEMENTS = 32, 1_024
"""How much of a gradient stands for its direction."""

Direction = Callable[[], Sequence[float]]
"""Gives a sample of the elements of a step's gradient, always the same ones."""


class HeavyTails:
    r"""Whether the gradients of a run have noise of infinite variance, which keeps SGD and Adam from settling.

    The logarithm of a norm that has a power law, :math:`P(\|g\| > t) \sim t^{-a}`, has exponential excesses: the way
    from each quantile to the one that is exceeded half as often is :math:`\ln 2 / a`. With :math:`a < 2` there is no
    variance, and a clip is what makes training converge at all.

    A rare class and a rare reward have such norms too, and there the large gradients are what is to be learned. But
    those agree with each other, and noise has no direction: the mean cosine between large gradients tells the two
    apart.

    Every finite norm counts, those that are rejected too: they are what a tail is made of. Quantiles are all that is
    looked at, so that a burst counts as one norm however large it is.

    Example:
        >>> import random
        >>> rng, tails = random.Random(0), HeavyTails()
        >>> noise = lambda: [rng.gauss(0, 1) for _ in range(100)]
        >>> for _ in range(300):
        ...     tails.push(math.log(rng.paretovariate(1.5)), noise)
        >>> tails.noise
        True

    References:
        Zhang et al., "Why are adaptive methods good for attention models?", 2020 (clipping and infinite variance).
        Simsekli, Sagun, Gurbuzbalaban, "A tail-index analysis of stochastic gradient noise in deep neural networks",
        2019.
        Pickands, "Statistical inference using extreme order statistics", 1975 (an index from quantiles).
    """

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=NEIGHBOURS)
        self._excesses = RobustWindow(WINDOW)
        self._clock = 0
        self._agreeing = self._doubts = 0
        self._suspected = self._heavy = False
        self._directions: deque[tuple[float, np.ndarray]] = deque(maxlen=DIRECTIONS)
        self.noise = False
        """Whether what is above the median is noise."""

    def push(self, x: float, direction: Direction | None = None) -> None:
        """Add the logarithm of a step's norm; the direction is asked for while a heavy tail is suspected."""
        self._recent.append(x)
        if len(self._recent) < NEIGHBOURS:
            return
        excess = x - sorted(self._recent)[NEIGHBOURS // 2]
        self._excesses.push(excess)
        self._clock += 1
        if self._clock % EVERY == 0:
            self._judge()
        due = len(self._directions) < DIRECTIONS or self._clock % EVERY == 0
        if self._suspected and due and direction is not None:
            self._look(excess, direction())

    @property
    def tail_index(self) -> float:
        """The index of the power law, from the upper quantiles."""
        return math.log(8.0) / max(1e-9, self._excesses.quantile(QUANTILES[-1]) - self._excesses.quantile(0.5))

    def state_dict(self) -> dict[str, Any]:
        """Everything needed to go on from here."""
        return {
            "recent": list(self._recent),
            "excesses": self._excesses.state_dict(),
            "clock": self._clock,
            "agreeing": self._agreeing,
            "doubts": self._doubts,
            "suspected": self._suspected,
            "heavy": self._heavy,
            "noise": self.noise,
            "directions": [(excess, list(map(float, values))) for excess, values in self._directions],
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Go on from a `state_dict`."""
        self._recent = deque(state["recent"], maxlen=NEIGHBOURS)
        self._excesses.load_state_dict(state["excesses"])
        self._clock, self._agreeing, self._doubts = (int(state[name]) for name in ("clock", "agreeing", "doubts"))
        self._suspected, self._heavy, self.noise = (bool(state[name]) for name in ("suspected", "heavy", "noise"))
        self._directions = deque(
            ((float(excess), np.array(values, dtype=np.float32)) for excess, values in state["directions"]),
            maxlen=DIRECTIONS,
        )

    def _judge(self) -> None:
        count = len(self._excesses)
        if count < SUSPECTED_FROM:
            return
        low, *high = (self._excesses.quantile(fraction) for fraction in QUANTILES)
        ways = [upper - lower for lower, upper in pairwise(high)]
        nats, skew = sum(ways), (high[2] - high[0]) / max(1e-9, high[0] - low)
        light = nats <= SUSPECTED_NATS or skew <= SUSPECTED_SKEW
        self._doubts = self._doubts + 1 if light else 0
        self._suspected = self._doubts < (AGREEING if self._heavy else 1)
        clear = (
            count >= JUDGED_FROM
            and NATS_OF_INFINITE_VARIANCE < nats < NATS_OF_NO_MEAN
            and skew > SKEWED
            and max(ways) < UNEVEN * min(ways)
        )
        self._agreeing = self._agreeing + 1 if clear else 0
        self._heavy = self._suspected and (self._heavy or self._agreeing >= AGREEING)
        if not self._suspected:
            self._directions.clear()
        self.noise = self._heavy and self._without_direction()

    def _look(self, excess: float, values: Sequence[float]) -> None:
        sample = np.array(values, dtype=np.float64)
        size = float(np.linalg.norm(sample))
        if not 0 < size < math.inf:
            return
        if self._directions and len(self._directions[0][1]) != len(sample):
            self._directions.clear()
        self._directions.append((excess, (sample / size).astype(np.float32)))

    def _without_direction(self) -> bool:
        """Whether large gradients are known not to agree with each other."""
        if len(self._directions) < ENOUGH_DIRECTIONS:
            return False
        large = [values for excess, values in self._directions if excess > self._excesses.quantile(0.75)]
        count = len(large)
        if count < ENOUGH_DIRECTIONS // 4:
            return False
        together = np.stack(large).astype(np.float64).sum(axis=0)
        return (float(np.dot(together, together)) - count) / (count * (count - 1)) < OWN_DIRECTION


def direction_of(grads: Sequence[Tensor]) -> list[float]:
    """A sample of the elements of gradients, the same ones at every step, on the host.

    Example:
        >>> direction_of([torch.tensor([1.0, 2.0]), torch.tensor([[3.0]])])
        [1.0, 2.0, 3.0]
    """
    chosen = range(0, len(grads), max(1, len(grads) // SAMPLED_TENSORS))
    each = -(-SAMPLED_ELEMENTS // max(1, len(chosen)))
    parts = []
    for place in chosen:
        values = dense_values(grads[place]).detach().reshape(-1)
        parts.append(values[:: max(1, values.numel() // each)][:each].to(grads[0].device, torch.float32))
    return list(map(float, read_array(torch.cat(parts)))) if parts else []
