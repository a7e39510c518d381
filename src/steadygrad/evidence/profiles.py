"""What is measured beside a pass: the batch, the weights, recurrences, curvature, some steps. No tensors."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class TensorProfile:
    """One floating tensor of the batch. `feature_ratio` is the largest feature's root mean square over the median's.

    `nonfinite` counts NaN and +inf; -inf alone, counted in `minus_infinite`, may be a mask.
    `counts` says that all are whole numbers from 0 on. `apart` is how many times larger the smallest of a few samples
    is, a quarter of them at most, than the largest of all others, by their largest numbers, where that is most.
    """

    name: str
    shape: tuple[int, ...]
    rms: float
    mean: float
    std: float
    absmax: float
    feature_ratio: float
    nonfinite: int
    minus_infinite: int = 0
    counts: bool = False
    apart: float = 1.0


@dataclass(frozen=True, slots=True)
class WeightProfile:
    """One parameter with at least two dimensions. `alike` says that its units (rows) are the same.

    `stays_alike` says that they are so after some steps too; None if that was not tried.
    """

    name: str
    layer: str
    shape: tuple[int, ...]
    rms: float
    alike: bool
    stays_alike: bool | None = None


@dataclass(frozen=True, slots=True)
class Recurrence:
    """One recurrent layer: spectral radii of its recurrent weights, leading Lyapunov exponents, steps in the batch.

    `ungated` is a plain recurrent net: it has no gates that training could open.
    """

    name: str
    steps: int
    radius: float
    exponents: tuple[float, ...]
    ungated: bool = False


@dataclass(frozen=True, slots=True)
class Memory:
    """One input that is a sequence with one target: at each time step, what it says about the target (`squared`, the
    largest squared rank correlation; `correlations` were taken in all, of `samples`), and how large a gradient arrives.
    """

    name: str
    samples: int
    correlations: int
    squared: tuple[float, ...]
    arriving: tuple[float, ...]

    @property
    def chance(self) -> float:
        """What the largest squared correlation exceeds in one of a thousand batches with nothing to be found."""
        return 1.0 - (1e-3 / self.correlations) ** (2.0 / max(1, self.samples - 2))

    @property
    def decided(self) -> int:
        """The step that says most."""
        return max(range(len(self.squared)), key=self.squared.__getitem__)

    @property
    def share(self) -> tuple[float, ...]:
        """The gradient at each step, over the largest at any."""
        largest = max(self.arriving, default=0.0)
        return tuple(value / largest if largest > 0 else 1.0 for value in self.arriving)


@dataclass(frozen=True, slots=True)
class Edge:
    """Sharpness against what the optimizer's steps bear: above 1, `ratio` is beyond the edge of stability."""

    optimizer: str
    ratio: float
    sharpness: float
    limit: float
    formula: str
    lr: float


@dataclass(frozen=True, slots=True)
class Term:
    """A part that a loss adds up: the operation that made it, what it was multiplied by, and how large it was then."""

    name: str
    factor: float
    value: float


@dataclass(frozen=True, slots=True)
class Origin:
    """The operation that made the first number that is not finite.

    `phase` is "forward" (in a model), "loss" (behind it) or "backward"; `where` the module that it runs in, "" for
    none; `shape` its result's; `share` the part of that which is not finite, `kind` "nan" or "inf"; `samples` the first
    places along the result's first dimension where it is; `line` file and number in the user's code. `repeats` and
    `growth`: how often the same weights had multiplied something in that pass, each time something larger, and by how
    many nats it had grown; 0 where none had. `powers` says that it is the operation itself that makes so many powers of
    one number in a row.
    """

    op: str
    where: str
    phase: str
    shape: tuple[int, ...]
    largest_input: float
    share: float | None = None
    kind: str = ""
    samples: tuple[int, ...] = ()
    line: tuple[str, int] | None = None
    repeats: int = 0
    growth: float = 0.0
    powers: bool = False


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The losses before each step and after the last, at `factor` times the learning rate."""

    factor: float
    losses: tuple[float, ...]

    @property
    def diverged(self) -> bool:
        """Whether the loss of the very batch that is trained on stays above where it began."""
        return not all(map(math.isfinite, self.losses)) or self.end > self.losses[0]

    @property
    def end(self) -> float:
        """The median of the last losses."""
        return median(self.losses[-max(1, len(self.losses) // 4) :])


def best(rehearsals: Sequence[Rehearsal]) -> Rehearsal | None:
    """The one that brought the loss down most, if any did so clearly."""
    lowest = min((each for each in rehearsals if not each.diverged), key=lambda each: each.end, default=None)
    return lowest if lowest is not None and lowest.end < lowest.losses[0] - 0.02 * abs(lowest.losses[0]) else None
