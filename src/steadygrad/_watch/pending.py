"""A step in progress, between its two hooks."""

from dataclasses import dataclass

from ..guard import Ruling
from .session import Reading, Session


@dataclass(slots=True)
class Pending:
    """What is known of a step that is not over yet.

    Args:
        session: its training.
        reading: its gradients.
        ruling: what was decided, so far.
        loss: of the step, if it is known.
        lr: the learning rate it is made with.
        acts: whether anything may be done to the training.
        may_clip: whether its gradients may be scaled.
        inside: whether this is the closure of a step that has begun.
    """

    session: Session
    reading: Reading
    ruling: Ruling
    loss: float | None
    lr: float | None
    acts: bool
    may_clip: bool
    inside: bool
