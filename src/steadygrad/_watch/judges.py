"""What the rules say of a pass that is looked at: why nothing is learned, what amplifies, what makes a loss rise."""

import math
from collections.abc import Sequence, Set

from ..evidence import Evidence
from ..findings import OUT_OF_SCALE, VANISHING, Finding
from ..rules import Rule
from ..rules.attention import attention
from ..rules.data import data
from ..rules.depth import depth, fading
from ..rules.half import overflowing
from ..rules.head import LEAST_EXCESS, excess, head
from ..rules.learning_rate import learning_rate
from ..rules.loss_scale import loss_scale
from ..rules.recurrent import FORGETS, forgetful, recurrent, unreachable
from ..rules.symmetric import symmetric
from ..rules.units import units

SURE_OF_TWO = math.log(2) + LEAST_EXCESS
"""The loss above which even one of two classes is far from a guess."""

LEARNED = 0.75
"""The part of a guess's loss below which a classifier has learned."""

SHUT = 0.9
"""Share of units that let nothing through, from which a run that was sound at first has come to learn nothing."""

ARRIVES = 1e-3
"""Part of the largest gradient at any time step that is enough to learn from."""


def vanishing(evidence: Evidence | None) -> Finding | None:
    """What keeps the gradient from arriving, by the rules of the check."""
    if evidence is None or _has_learned(evidence):  # attention that is sharp may have been trained to be
        return surest(evidence, (units, depth, forgetful, symmetric), VANISHING)
    return surest(evidence, (units, depth, forgetful, symmetric, attention), VANISHING | {"attention-logits"})


def faded(evidence: Evidence | None) -> Finding | None:
    """The same of a model that says nothing of its samples: of a gradient less is too little, and infinities count."""
    rules = (units, fading, forgetful, symmetric, overflowing)
    found = surest(evidence, rules, VANISHING | {"half-overflow"}) or vanishing(evidence)
    return found or surest(evidence, (data,), {"input-scale"})


def hopeless(evidence: Evidence | None) -> Finding | None:
    """What keeps a model from learning whatever time it is given, by the rules of the check.

    A memory that is short is none, where it is seen to be long enough for what decides the target.
    """
    rules = (units, depth, symmetric) if _remembers(evidence) else (units, depth, recurrent, unreachable, symmetric)
    return surest(evidence, rules, VANISHING) or surest(evidence, (attention,), {"attention-logits"})


def _remembers(evidence: Evidence | None) -> bool:
    """Whether a gradient arrives at the time step that says most about the target."""
    memory = None if evidence is None else evidence.memory
    if memory is None:
        return False
    return memory.squared[memory.decided] > memory.chance and memory.share[memory.decided] > ARRIVES


def _has_learned(evidence: Evidence) -> bool:
    """Whether a loss for classes is well below that of a guess."""
    return any(each.mean_loss < LEARNED * math.log(each.classes) for each in evidence.base.losses if each.classes > 1)


def amplifying(evidence: Evidence | None) -> Finding | None:
    """What makes the first gradients as large as they are, by the rules of the check."""
    return surest(evidence, (head, depth, recurrent, data, loss_scale), OUT_OF_SCALE)


def overconfident(evidence: Evidence | None) -> Finding | None:
    """What makes a first loss of classes far larger than that of a guess, by the rules of the check."""
    return surest(evidence, (head, data), {"init-gain", "input-scale"}) if evidence and excess(evidence.base) else None


def destabilising(evidence: Evidence | None) -> Finding | None:
    """What makes a loss rise, by the rules of the check."""
    return surest(evidence, (head, depth, recurrent, data, loss_scale, learning_rate), OUT_OF_SCALE | {"learning-rate"})


def stable_factor(evidence: Evidence | None) -> float | None:
    """The part of the learning rate at which a few steps on one batch did no harm, if at the whole of it they did."""
    found = surest(evidence, (learning_rate,), {"learning-rate"})
    return None if found is None else found.evidence.get("stable_factor")


def shut(found: Finding | None) -> Finding | None:
    """What a run has come to, unless something still gets through: a noisy loss may only seem idle.

    Some of its units do, or gates that it has closed itself by a little more than torch does: they open again.
    """
    if found is None:
        return None
    shares = (found.evidence.get("saturated_fraction"), found.evidence.get("dead_fraction"))
    if any(each is not None and each < SHUT for each in shares):
        return None
    return None if found.evidence.get("gated") and found.evidence["lyapunov_exponent"] > FORGETS else found


def surest(evidence: Evidence | None, rules: Sequence[Rule], causes: Set[str]) -> Finding | None:
    """What these rules are surest of, among some causes."""
    said = (each for rule in rules if evidence is not None for each in rule(evidence))
    found = [each for each in said if isinstance(each, Finding) and each.cause in causes]
    return max(found, key=lambda each: each.confidence, default=None)
