"""What a watcher was asked for."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ..clip import Policy

Clip: TypeAlias = Policy | Callable[[], Policy] | Literal[False] | None
"""What scales gradients: a policy, something that makes one for each optimizer, nothing, or (None) the default."""


@dataclass(frozen=True)
class Settings:
    """How a watcher is to hold its trainings.

    Args:
        mode: "observe", "protect" or "repair".
        clip: what scales gradients, see `watch`.
        snapshot_memory: bytes that snapshots may take; None: a quarter of what is free, and none on several ranks.
        snapshot_every: steps between snapshots; None: by their cost.
    """

    mode: str
    clip: Clip = None
    snapshot_memory: int | None = None
    snapshot_every: int | None = None

    @property
    def acts(self) -> bool:
        """Whether a training may be changed."""
        return self.mode != "observe"

    @property
    def mends(self) -> bool:
        """Whether the cause of an alarm is to be put right."""
        return self.mode == "repair"

    def policy(self) -> Policy | Literal[False] | None:
        """What scales the gradients of one optimizer."""
        if self.clip is None or isinstance(self.clip, Policy):
            return self.clip
        return self.clip() if callable(self.clip) else False
