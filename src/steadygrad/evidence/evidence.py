"""What the rules judge: plain numbers about a model, its batch, its loss and its optimizer. No tensors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from .chain import Layer
from .passes import Pass
from .profiles import Edge, Memory, Origin, Recurrence, Rehearsal, TensorProfile, Term, WeightProfile


@dataclass
class Evidence:
    """Everything that was measured. What is None or empty was not, and `skipped` says why.

    `sound_batch` says, where there is an `origin`, that all data from outside of the pass was finite.
    """

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
    memory: Memory | None = None
    edge: Edge | None = None
    optimizer: str = ""
    rehearsals: tuple[Rehearsal, ...] = ()
    origin: Origin | None = None
    sound_batch: bool = False
    terms: tuple[Term, ...] = ()
    skipped: dict[str, str] = field(default_factory=dict)
