"""What becomes of a guard's ruling before it is carried out."""

import math
from dataclasses import replace

from ..guard import Raised, Ruling

BURST = 0.03
"""The coefficient below which a gradient that cannot be scaled makes its step be lost."""


def with_alarms(ruling: Ruling, alarms: tuple[Raised, ...]) -> Ruling:
    """A ruling with further alarms."""
    return replace(ruling, alarms=(*ruling.alarms, *alarms)) if alarms else ruling


def as_carried_out(ruling: Ruling, *, acts: bool, may_clip: bool, guard_scales: bool) -> Ruling:
    """A ruling less what is not to be done here; its alarms stay.

    Args:
        ruling: the guard's.
        acts: whether anything is done to this training.
        may_clip: whether its gradients may be scaled.
        guard_scales: whether that is the guard's affair, and no policy's of the user.
    """
    if ruling.action == "scaler-skip":
        return ruling
    nothing = replace(ruling, action="", coefficient=1.0)
    if ruling.action == "":
        return ruling if acts and may_clip and guard_scales else nothing
    if not acts:
        return nothing
    if ruling.action == "clip" and not may_clip:
        # Scaled gradients would contradict the losses that the optimizer compares: a burst is lost whole.
        return replace(ruling, action="skip", coefficient=0.0) if ruling.coefficient < BURST else nothing
    return nothing if ruling.action == "clip" and not guard_scales else ruling


def unsound(loss: float | None) -> tuple[Raised, ...]:
    """A scaler looks for its scale with sound losses; a loss that is not finite is no overflow of the scale."""
    return () if loss is None or math.isfinite(loss) else (Raised("nonfinite-loss", {"loss": loss}),)


def of_shards(loss: float | None) -> Ruling:
    """Of weights that lie in shards on several ranks nothing is measured: their loss alone can be judged."""
    return Ruling("", 1.0, unsound(loss))
