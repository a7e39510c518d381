"""The records that cross floors: plain frozen dataclasses, and the protocol of what receives them. No torch.

Non-finite numbers are data: every float here may be NaN or infinite, and None means "not known".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from ._i18n import say_count

NO_GRADIENT = -1.0
"""Stands in a vector of gradient norms for a tensor that had no gradient. A norm is never negative."""

NOT_MEASURED = -2.0
"""Stands in a vector of sampled values for a tensor that this sample left out."""

QUANTITIES = ("grad_norm", "param_norm", "update_ratio")
"""The per-tensor quantities of a recording. `update_ratio` is |dw| / |w| of one step."""


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """One parameter of one optimizer: its name in the user's model, shape and dtype."""

    name: str
    shape: tuple[int, ...]
    dtype: str


@dataclass(frozen=True, slots=True)
class OptimizerInfo:
    """One optimizer of a process: its place in order of first step, its class name and its parameters."""

    index: int
    name: str
    tensors: tuple[TensorInfo, ...]


@dataclass(frozen=True, slots=True)
class StepRecord:
    """One optimizer step, as it was decided.

    `time` is in seconds since the epoch; `grad_norm` is the global L2 norm before clipping, `clipped_norm`
    after it; `coefficient` is what the gradients were multiplied with (1 when nothing was done);
    `action` is "" or the name of what was done.
    """

    optimizer: int
    step: int
    time: float
    loss: float | None
    lr: float | None
    grad_norm: float
    clipped_norm: float
    coefficient: float
    action: str


@dataclass(frozen=True, slots=True)
class Action:
    """Something done to the training, with the reason and the numbers behind it."""

    optimizer: int
    step: int
    action: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Alarm:
    """A detector's word that a step was not sound: which detector, and the numbers behind it."""

    optimizer: int
    step: int
    detector: str
    detail: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Observation:
    """A close look that an alarm has brought about.

    `kind` is "examination" (the pass, computed again), "start" (the first pass, with the first weights) or "symptoms"
    (what lay there without that).
    """

    optimizer: int
    step: int
    kind: str
    detail: Mapping[str, Any] = field(default_factory=dict)


DRIFTS = frozenset({"loss-divergence", "sustained-growth"})
"""Detectors of a loss that has gone away from its best level, step by step, before anything was seen."""


@dataclass(frozen=True, slots=True)
class RangeTest:
    """A learning-rate range test: the loss of each step at its rate, and what follows.

    `losses` are as measured, the last may be NaN or infinite; `smoothed` is their running mean. `diverged_at` is the
    rate at which the test was stopped because the loss had run away, None where it did not. `suggestions` are rates by
    the name of the rule that gives them, `suggestion` is the one to begin with (None if the loss never fell), and `why`
    says how it came about.
    """

    lrs: tuple[float, ...]
    losses: tuple[float, ...]
    smoothed: tuple[float, ...]
    diverged_at: float | None
    suggestions: Mapping[str, float]
    suggestion: float | None
    why: str


class Sink(Protocol):
    """What receives the records of a watched process. No method may raise into the training."""

    def optimizer(self, info: OptimizerInfo) -> None:
        """A new optimizer has made its first step."""
        ...

    def step(self, record: StepRecord, grad_norms: bytes) -> None:
        """One step; `grad_norms` is a float32 vector, one L2 norm a tensor, in the order of `OptimizerInfo.tensors`."""
        ...

    def sample(self, optimizer: int, step: int, quantity: str, values: bytes) -> None:
        """A sampled per-tensor quantity of `QUANTITIES`, as a float32 vector."""
        ...

    def action(self, action: Action) -> None:
        """Training was changed."""
        ...

    def alarm(self, alarm: Alarm) -> None:
        """A detector fired."""
        ...

    def observation(self, observation: Observation) -> None:
        """Something was looked at closely."""
        ...

    def facts(self, values: Mapping[str, Any]) -> None:
        """Named facts of the process that replace earlier ones of the same name (overhead, counts)."""
        ...

    def close(self) -> None:
        """The process ends or the watcher is detached; everything so far is made durable."""
        ...


def describe(tensors: Sequence[TensorInfo]) -> str:
    """A short count for people: how many tensors.

    >>> describe([TensorInfo("weight", (2, 3), "float32")])
    '1 tensor'
    """
    return say_count("{count} tensor", "{count} tensors", len(tensors))
