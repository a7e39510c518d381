"""One remedy that was applied to a running training, as it is remembered, also in a checkpoint."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from .._snapshot import TrainingSnapshot
from ..findings import Finding
from ..interventions import Applied, Intervention, intervention_for, kept_of
from .live_remedies import AT_ONCE, RENEWS


@dataclass
class Repair:
    """A remedy that lies on the training of the optimizer `of`. `before` is the state that the run had begun with,
    `level` the loss at which a run had stalled; `settled` says whether the state that it begins with now is kept."""

    of: int
    remedy: str
    finding: Finding
    applied: Applied | None
    step: int
    options: Mapping[str, Any]
    before: TrainingSnapshot | None = None
    level: float | None = None
    held: bool = False
    settled: bool = False
    undone: bool = False

    def state_dict(self, params: Sequence[Tensor]) -> dict[str, Any]:
        """What a checkpoint holds of it; layers are known by the places of their `params`."""
        return {
            "remedy": self.remedy,
            "cause": self.finding.cause,
            "confidence": self.finding.confidence,
            "where": self.finding.where,
            "options": dict(self.options),
            "step": self.step,
            "level": self.level,
            "held": self.held,
            "undone": self.undone,
            "lies": self.applied is not None,
            "layers": [] if self.applied is None else self.applied.state_of(params),
        }


def from_state(
    state: Mapping[str, Any],
    of: int,
    params: Sequence[Tensor],
    lay_on: Callable[[Sequence[Intervention]], Applied],
) -> Repair:
    """The remedy of a checkpoint, laid on the training `of` again by `lay_on`; nothing is overwritten."""
    name, applied = state["remedy"], None
    if state["lies"] and name not in AT_ONCE:  # those options came with the optimizer
        lying: list[Intervention] = [kept_of(kept, params) for kept in state["layers"]]
        if name not in RENEWS and not lying:  # what was done to the state that it began with is done
            lying = [intervention_for(name, state["where"], **state["options"])]
        applied = lay_on(lying)
    finding = Finding(state["cause"], state["confidence"], state["where"], "")
    repair = Repair(of, name, finding, applied, state["step"], state["options"], level=state["level"])
    repair.held, repair.undone, repair.settled = state["held"], state["undone"], True
    return repair
