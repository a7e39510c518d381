"""What the rules judge: plain numbers about a model, its batch, its loss and its optimizer. No tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ..measure.origin import Origin
from .chain import Layer
from .observed import Pass
from .rehearsal import Rehearsal


@dataclass(frozen=True, slots=True)
class TensorProfile:
    """One floating tensor of the batch. `feature_ratio` is the largest feature's root mean square over the median's.

    `nonfinite` counts NaN and +inf; -inf alone may be a mask.
    """

    name: str
    shape: tuple[int, ...]
    rms: float
    mean: float
    std: float
    absmax: float
    feature_ratio: float
    nonfinite: int


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
class Edge:
    """Sharpness against what the optimizer's steps bear: above 1, `ratio` is beyond the edge of stability."""

    optimizer: str
    ratio: float
    sharpness: float
    limit: float
    formula: str
    lr: float


@dataclass
class Evidence:
    """Everything that was measured. What is None or empty was not, and `skipped` says why."""

    base: Pass
    chain: list[Layer] = field(default_factory=list)
    weight_rms: dict[str, float] = field(default_factory=dict)
    rows: int | None = None
    inputs: tuple[TensorProfile, ...] = ()
    targets: tuple[TensorProfile, ...] = ()
    weights: tuple[WeightProfile, ...] = ()
    standard_inputs: Pass | None = None
    standard_target: Pass | None = None
    doubled: float | None = None
    recurrences: tuple[Recurrence, ...] = ()
    time_gradients: Mapping[str, Sequence[float]] = field(default_factory=dict)
    edge: Edge | None = None
    optimizer: str = ""
    rehearsals: tuple[Rehearsal, ...] = ()
    origin: Origin | None = None
    skipped: dict[str, str] = field(default_factory=dict)
