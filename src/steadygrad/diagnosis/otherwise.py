"""What a script does otherwise than in its first pass: another loss, other numbers, another type of them, longer
sequences.

Weights that have come apart leave many a thing out of scale; none of these. So what breaks a run that had been sound
until a script began to do one of them, in a second loop perhaps, is that.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ..evidence import Evidence, TensorProfile, Term
from ..rules.loss_scale import GROWTH

LARGER = 8.0
"""How many times larger or smaller inputs and targets must have become as a whole."""

PEAKED = 3.0
"""How many times farther the largest number may lie above the usual ones than before: beyond, it is a single record
that makes the size, however many batches it is in."""

MOST = 0.5
"""The part of a tensor's squares that one number of it makes where that alone is its size: a small batch has no room to
lie farther above the rest."""

MULTIPLIED = 4.0
"""How many times more a script must multiply its loss by, as much as a learning rate that is raised."""

MOST_OF_IT = 0.5
"""The part of the loss that what is multiplied must make."""

AVERAGED = 1.2
"""What twice the same samples make at most of a mean."""

LONGER = 2.0
"""How many times more time steps a recurrence must take."""

EXPANDED = 1.0
"""Nats by which the first weights would have made a perturbation grow over as many."""


def other_computation(start: Evidence, now: Evidence) -> frozenset[str]:
    """The causes that have come in with what a script computes.

    Args:
        start: the first pass.
        now: one at which something went wrong.
    """
    scaled = _is_summed(start, now) or multiplied(start, now) is not None
    half = _in_half(now) and not _in_half(start)
    come = {"loss-scale": scaled, "half-overflow": half, "recurrent-gain": _expands_longer(start, now)}
    return frozenset(cause for cause, has_come in come.items() if has_come)


@dataclass(frozen=True, slots=True)
class Multiplied:
    """A term of the loss, and what it was multiplied by in the first pass and later."""

    name: str
    first: float
    now: float

    @property
    def times(self) -> float:
        """By how much more."""
        return self.now / self.first


def multiplied(start: Evidence, now: Evidence) -> Multiplied | None:
    """The term that makes most of the loss, if the script multiplies it by far more than in the first pass."""
    if not now.terms or [each.name for each in start.terms] != [each.name for each in now.terms]:
        return None
    place = max(range(len(now.terms)), key=lambda at: _size(now.terms[at]))
    then, most = start.terms[place], now.terms[place]
    whole = sum(map(_size, now.terms))
    if not then.factor or (math.isfinite(whole) and _size(most) < MOST_OF_IT * whole):
        return None
    found = Multiplied(most.name, then.factor, most.factor)
    return found if found.times > MULTIPLIED else None


def _size(term: Term) -> float:
    """How much of the loss it makes; what is not finite makes all of it."""
    size = abs(term.factor * term.value)
    return math.inf if math.isnan(size) else size


def other_data(start: Evidence, now: Evidence) -> frozenset[str]:
    """Those that have come in with what it computes it of, if that is not one batch alone."""
    inputs, targets = _is_rescaled(start.inputs, now.inputs), _is_rescaled(start.targets, now.targets)
    return frozenset(cause for cause, has_come in (("input-scale", inputs), ("loss-scale", targets)) if has_come)


def _is_rescaled(start: Sequence[TensorProfile], now: Sequence[TensorProfile]) -> bool:
    """Whether a tensor is of another size as a whole."""
    known = {each.name: each for each in start}
    pairs = [(known[each.name], each) for each in now if each.name in known]
    return any(_is_of_another_size(*pair) and not _is_peaked(*pair) for pair in pairs)


def _is_of_another_size(before: TensorProfile, now: TensorProfile) -> bool:
    return before.rms > 0.0 and not before.rms / LARGER <= now.rms <= LARGER * before.rms


def _is_peaked(before: TensorProfile, now: TensorProfile) -> bool:
    alone = _part_of_largest(now) > MOST > _part_of_largest(before)
    return alone or now.absmax * before.rms > PEAKED * before.absmax * now.rms


def _part_of_largest(each: TensorProfile) -> float:
    """The part of all squares that is the largest number's."""
    return each.absmax**2 / (math.prod(each.shape) * each.rms**2) if each.rms else 0.0


def _is_summed(start: Evidence, now: Evidence) -> bool:
    if start.base.reduction and now.base.reduction:
        return start.base.reduction == "mean" and now.base.reduction == "sum"
    if start.doubled is None or now.doubled is None:
        return False
    return start.doubled < AVERAGED and GROWTH[0] < now.doubled < GROWTH[1]


def _expands_longer(start: Evidence, now: Evidence) -> bool:
    """Whether sequences are longer, and the recurrence was one that expands already: short ones had hidden it."""
    known = {each.name: each for each in start.recurrences}
    pairs = [(known[each.name], each) for each in now.recurrences if each.name in known]
    return any(
        after.steps >= LONGER * before.steps and before.exponents[0] * after.steps > EXPANDED for before, after in pairs
    )


def _in_half(evidence: Evidence) -> bool:
    return any(call.dtype == "float16" for call in evidence.base.calls)
