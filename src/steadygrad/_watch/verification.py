"""Whether a remedy has done what it was for, as the losses and the alarms after it tell."""

from collections.abc import Callable

from ..guard import FELL, Ruling
from .live_remedies import OF_SOME, REINITIALISES, SEEN, UNFIT
from .prescriptions import seen_first
from .repair import Repair
from .session import Session

FALLS = 0.05
"""The part of itself by which the loss of a run that had learned nothing has to have fallen."""

HIGHER = 0.02
"""The part of itself by which the loss of one that still learns nothing lies too high, and half of its noise: the mean
of a plateau does not."""

WORSE = 0.5
"""The part of itself by which it has risen where a remedy did harm."""


def speaks_against(current: Repair, ruling: Ruling) -> bool:
    """Whether alarms say that a remedy has not removed what it was for."""
    kinds = {raised.detector.partition("-")[0] for raised in ruling.alarms}
    return current.finding.cause not in UNFIT or "nonfinite" in kinds


def has_worked(session: Session) -> bool:
    """Whether the loss had lost a good part of itself since the remedy: what comes then is another thing.

    Of the first one after it, or of the very first, whichever is lower: the one after it may be a spike still.
    """
    level = session.guard.level
    firsts = [each for each in (level.first, session.stall.first) if each is not None]
    return level.known and bool(firsts) and min(firsts) - level.best > FELL * abs(min(firsts))


def begins_lower(session: Session, current: Repair) -> bool:
    """Whether new first weights begin where the old ones, which were at fault, were far above: a rate that is too
    high for both is another thing."""
    new, old = session.guard.level.first, session.stall.first
    if current.remedy not in REINITIALISES or new is None or old is None:
        return False
    return old - new > FELL * abs(old)


def found_nothing(session: Session, current: Repair) -> bool:
    """Whether a remedy of what was there in the first pass has changed nothing."""
    first = current.remedy in REINITIALISES or (current.remedy in OF_SOME and seen_first(current.finding))
    made = session.step > current.step
    return first and made and current.applied is not None and not current.applied.times


def has_fallen(session: Session, level: float) -> bool:
    """Whether a run that was stuck at a level has begun to learn."""
    now = session.guard.level.level()
    return now is not None and now < level - max(FALLS * abs(level), 2.0 * session.guard.level.noise())


def stays(session: Session, current: Repair, level: float, is_gone: Callable[[Session], bool]) -> bool:
    """Whether a remedy stays although the run has not begun to learn: many a sound one takes its time.

    What was wrong was seen itself, or is gone, and the loss is no higher for it.
    """
    now = session.guard.level.level()
    worse = now is not None and now > level + WORSE * abs(level)
    return not worse and (current.finding.cause in SEEN or is_gone(session))


def lies_above(session: Session, level: float) -> bool:
    """Whether a run that still learns nothing, its fault gone, has a loss above the one at which it was stuck: that
    of a guess, most often. Steps that swing about what there is to learn do that."""
    now = session.guard.level.mean()
    return now is not None and now - level > max(HIGHER * abs(level), 0.5 * session.guard.level.noise())
