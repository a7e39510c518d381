"""What a loss says of a model beside that of one which says nothing, or the same of every sample."""

import math

from .._tap import quiet
from ..examination import OfOthers, anything_of_samples, classes_again, losses_again, nothing, of_all
from .examiner import Examiner
from .judges import SURE_OF_TWO
from .kept import Kept
from .session import Reading, Session

LARGE = 1e3
"""A loss from which it is compared with that of a model that says nothing, however small the gradients are."""

LOUD = 30.0
"""Times the loss of a model that says nothing, above which one says worse than nothing."""

NOTHING = 0.9
"""The part of the loss of a model that says nothing, from which one says next to nothing."""

IGNORES = 0.01
"""The part of a loss by which that of mixed-up samples is higher, below which samples make no difference."""

EASY = 0.5
"""The part of the mean loss below which a batch has little of what makes the loss."""


class Guesses:
    """Compares losses with those of guesses, by computing passes again.

    Args:
        examiner: has the passes.
    """

    def __init__(self, examiner: Examiner) -> None:
        self._examiner = examiner

    def is_loud(self, session: Session, reading: Reading) -> bool:
        """Whether the loss is that of no guess, at one of a few steps: one that says nothing has a far lower one.

        One of classes that is falling is waited for: a sound training may bring it down, and is none to be mended.
        """
        if session.loud() and self._classifies(session):
            return not session.stall.is_falling(session.guard.level)
        kept, level, stall = self._examiner.examinable(session), session.guard.level.level(), session.stall
        if kept is None or level is None or not stall.is_early_look():
            return False
        # A script that clips has small gradients always: then it is asked once.
        small = not session.is_large(reading.norm) and level < LARGE
        if small and (self._classifies(session) or not stall.is_half_way()):
            return False
        passes = self._examiner.passes.passes() or kept.first
        with quiet():
            silent = losses_again(passes, session.params, session.names, saying=nothing)
            if silent and max(silent) > 0.0:
                if max(silent) * LOUD >= level:
                    return False
                if silent != losses_again(passes, session.params, session.names):
                    return True
        # A model that returns its loss itself says nothing else. A clip makes zeros of gradients whose norm overflows.
        return level >= LARGE and (reading.norm == 0.0 or stall.is_last_early_look())

    def was_loud(self, session: Session) -> bool:
        """Whether, at one of a few steps, a loss that began far above that of a model that says nothing is at it."""
        kept, level, first = self._examiner.examinable(session), session.guard.level.level(), session.stall.first
        if kept is None or level is None or first is None or not session.stall.is_early_look():
            return False
        if level >= first / LOUD or not kept.first:
            return False
        with quiet():
            silent = losses_again(kept.first, session.params, session.names, saying=nothing)
        return silent is not None and 0.0 < max(silent) < min(first / LOUD, level / NOTHING)

    def says_nothing(self, session: Session) -> bool:
        """Whether the loss is that of a model that says nothing: a run that has burst at its start may end there."""
        kept, level, passes = self._examiner.examinable(session), session.guard.level.level(), self._examiner.passes
        if kept is None or level is None or not kept.may_look() or not passes.passes():
            return False
        with quiet():
            silent = losses_again(passes.passes(), session.params, session.names, saying=nothing)
        return silent is not None and NOTHING * max(silent) < level <= max(silent) / NOTHING and max(silent) > 0.0

    def known_of_samples(self, session: Session, kept: Kept) -> float | None:
        """The part of the loss by which it is higher where the model says of each sample what it says of another, or of
        all of them: it has learned nothing of them if there is none. None where that cannot be asked: a loss that a
        model returns itself has no samples."""
        passes, mean = self._examiner.passes.passes(), session.guard.level.mean()
        with quiet(), kept.looking():
            now, anything, *others = (
                losses_again(passes, session.params, session.names, saying=saying)
                for saying in (None, anything_of_samples, OfOthers(), of_all)
            )
        known = [sum(each) for each in others if each]
        if not now or not known or now == anything:
            return None
        if mean is not None and mean > 0.0 and sum(now) / len(now) < EASY * mean:
            return IGNORES  # a batch without the rare samples that are to be told from the others: of this one all are
        apart = min(known) - sum(now)
        return apart / sum(map(abs, now)) if any(now) else math.inf

    def _classifies(self, session: Session) -> bool:
        """Whether the loss is one of torch's for classes: a large one says something by itself."""
        kept = self._examiner.kept(session)
        return kept is not None and any(each.classifies for each in kept.first)

    def is_overconfident(self, session: Session) -> bool:
        """Whether, at the last early look, a loss of classes is above that of a guess: one that began so large that it
        may have been far above."""
        first, kept = session.stall.first, self._examiner.examinable(session)
        if not session.stall.is_last_early_look() or first is None or not first > SURE_OF_TWO or kept is None:
            return False
        if not kept.has_time_to_look():
            return False
        with quiet(), kept.looking():
            found = classes_again(self._examiner.passes.passes(), session.params, session.names)
        return bool(found) and all(classes > 1 and mean > math.log(classes) for mean, classes in found)
