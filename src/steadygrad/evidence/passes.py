"""One forward and backward pass of a model, as plain numbers. No tensors."""

import math
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Units:
    """One weight with several units: are its rows the same, and the rows of its gradient?"""

    shape: tuple[int, ...]
    rms: float
    alike: bool
    grad_rms: float
    grads_alike: bool


@dataclass(frozen=True, slots=True)
class Call:
    """One multiplication by a weight, see `measure.forward_trace.WeightCall`."""

    layer: str
    weights: tuple[str, ...]
    kind: str
    function: str
    depth: int
    sources: frozenset[int]
    input_rms: float | None
    output_rms: float
    output_absmax: float
    shape: tuple[int, ...]
    dtype: str
    normalised: bool
    activation: str | None
    grad_rms: float | None

    @property
    def grad_norm(self) -> float | None:
        """L2 norm of the loss's gradient with respect to the result."""
        return None if self.grad_rms is None else self.grad_rms * math.sqrt(math.prod(self.shape))


@dataclass(frozen=True, slots=True)
class Activity:
    """One call of a rectifier or a bounded nonlinearity; `layer` is the one before it."""

    layer: str
    function: str
    units: int
    entries: int
    dead: float
    saturated: float


@dataclass(frozen=True, slots=True)
class Attention:
    """One attention; `layer` is the last one before it."""

    layer: str
    relative_entropy: float
    spread: float


@dataclass(frozen=True, slots=True)
class Classification:
    """One call of a classification loss; `mean_loss` is its plain mean, whatever weights and reduction it was given."""

    function: str
    classes: int
    logits_rms: float
    mean_loss: float


@dataclass(frozen=True, slots=True)
class Pass:
    """Everything measured in one pass. `grad_norms` and `weight_norms` are by parameter; `reduction` is "sum", "mean"
    or "" as torch's own loss functions note it in the graph. `output_spread` is the share of the output that
    differs from sample to sample; `overflows` are float16 operations with an infinite result of finite numbers, and
    where; `second_order` says that the loss holds a gradient itself, so that gradients by layer are of two passes;
    `scalings` has, for each weight that multiplies its own results element by element, the gradient's root mean square
    at each time."""

    loss: float
    calls: tuple[Call, ...]
    activity: tuple[Activity, ...]
    attentions: tuple[Attention, ...]
    losses: tuple[Classification, ...]
    output_rms: float | None
    output_spread: float
    overflows: tuple[tuple[str, str], ...]
    units: dict[str, Units]
    grad_norms: dict[str, float]
    weight_norms: dict[str, float]
    reduction: str
    second_order: bool = False
    scalings: dict[str, tuple[float, ...]] = field(default_factory=dict)

    @property
    def grad_norm(self) -> float:
        """The global norm."""
        return math.sqrt(sum(norm * norm for norm in self.grad_norms.values()))

    @property
    def finite(self) -> bool:
        """Whether the loss and every gradient are."""
        return math.isfinite(self.loss) and math.isfinite(self.grad_norm)

    @property
    def classes(self) -> int:
        """Of the classification loss, if there is just one; else 0."""
        return self.losses[0].classes if len({each.classes for each in self.losses}) == 1 else 0
