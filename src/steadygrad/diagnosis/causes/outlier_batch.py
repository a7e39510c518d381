"""A rare batch or sample out of scale in otherwise healthy training.

One broken record among a million gives a gradient thousands of times the usual one. The batches before and after it are
fine with the same weights.

Seen in: the gradient of the batch against that of the batch before it, computed with the same weights, and against the
history of the run; which input or target is out of scale; in the first batch, few samples that stand apart from all
others.

Remedies: clip-global-norm, drop-outlier-samples, winsorise-features.

Reference: Qian et al., "Understanding gradient clipping in incremental gradient methods", 2021.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ..._i18n import say
from ...evidence import Evidence, TensorProfile
from ...findings import Finding
from ...rules.data import data
from ...rules.loss_scale import loss_scale
from ...rules.outliers import APART as FEW_APART
from ..case import SPIKE, Case, nats, usual
from ..otherwise import LARGER
from .weight_growth import bottomless

CAUSE = "outlier-batch"

APART = math.log(SPIKE)
"""Nats between the gradients of two batches with the same weights beyond which they are not of one kind."""

WEIGHTS = 0.5
"""Share of that which the weights may have brought about since."""

FAR = 100.0
"""The same where the gradient is infinite because an operation has left the range of float16: a larger batch does that
too, and float32 does not notice it."""

LATE = 8
"""Steps by which an alarm about a batch may be late; the batch is kept for so long."""

REMEDIES = ("clip-global-norm", "drop-outlier-samples", "winsorise-features")


def outlier_batch(case: Case) -> Iterator[Finding]:
    """By its neighbours; in the first pass, which has none, by the other samples."""
    known = [each for rule in (data, loss_scale) for each in case.at_start(rule, CAUSE)]
    if known:
        yield max(known, key=lambda each: each.confidence)
        return
    found = next(_by_the_batch_before(case), None) or next(_by_the_history(case), None)
    if found is not None:
        yield found


def _by_the_batch_before(case: Case) -> Iterator[Finding]:
    """The same weights, another batch."""
    falls_for_ever = next(bottomless(case), None) is not None  # then every batch has a larger gradient than the last
    history = usual(case.before("grad_norm"))
    idle = {alarm.step for alarm in case.alarms if alarm.detector == "stalled"}  # looked at for what does not happen
    for look in case.looks:
        if (
            look.step in idle
            or look.batch_before is None
            or not math.isfinite(look.batch_before[1])
            or look.batch_before[1] <= 0
        ):
            continue
        base = look.evidence.base
        norm = base.grad_norm if base.finite else math.inf
        batch = nats(norm / look.batch_before[1])
        drift = nats(look.batch_before[1] / history) if history else 0.0
        named = _named(case.start, look.evidence)
        if named is not None and case.stays_otherwise:
            continue  # no batch: data of another kind from here on
        # What the weights have come to may be the work of such batches before it.
        alone = drift < WEIGHTS * batch or (named is not None and named.few)
        if batch > APART and alone and (named is not None or base.finite):
            sure = 0.95 if named else 0.5 if case.rescaled or falls_for_ever else 0.85
            if not base.finite and base.overflows and (named is not None and named.ratio < FAR):
                sure = 0.6
            yield Finding(
                CAUSE,
                sure,
                "batch" if named is None else named.where,
                say(
                    "the gradient of this batch is {times} that of the batch before it with the same weights{words}",
                    times=_times(norm / look.batch_before[1]),
                    words="" if named is None else named.words,
                ),
                {"grad_norm": norm, "grad_norm_of_the_batch_before": look.batch_before[1], "usual_grad_norm": history},
                REMEDIES,
                case.onset,
            )


def _by_the_history(case: Case) -> Iterator[Finding]:
    """One step out of scale between others that are not; what the pass itself was is not known any more."""
    steps = case.steps
    before = case.before("grad_norm")
    level = usual(before)
    if level is None or len(before) < 8 or level <= 0:
        return
    near = (steps.step >= case.onset - 2) & (steps.step <= case.onset + 1)
    norms = np.where(np.isnan(steps.grad_norm), np.inf, steps.grad_norm)
    if not near.any():
        return
    place = int(np.flatnonzero(near)[np.argmax(norms[near])])
    top = float(norms[place])
    after = norms[place + 3 : place + 20]
    batch = nats(top / level)
    first = case.first
    named = None if first is None or first.step > case.onset + LATE else _named(case.start, first.evidence)
    if named is not None and case.stays_otherwise:
        return
    if named is None and not math.isfinite(top):
        return  # what is not finite says nothing about size
    calm = len(after) >= 8 and float(np.median(after)) < 4 * level
    # Steps that are clipped one after the other leave the weights whole: it is their batches that are of another kind.
    clipped = steps.action.astype(str)[place + 1 : place + 20] == "clip"
    lasting = len(clipped) >= 8 and float(clipped.mean()) > 0.5
    if batch > 2 * APART and (calm or (named is not None and not lasting)):
        yield Finding(
            CAUSE,
            0.92 if named else 0.7,
            "batch" if named is None else named.where,
            say(
                "the gradient of step {step} is {times} the usual one{words}",
                step=int(steps.step[place]),
                times=_times(top / level),
                words=say(", and those before and after it are not") if named is None else named.words,
            ),
            {"grad_norm": top, "usual_grad_norm": level},
            REMEDIES,
            case.onset,
        )


@dataclass(frozen=True, slots=True)
class Named:
    """An input or target that is out of scale, in words, how many times larger it is than in the first batch, and
    whether a few of its samples are."""

    where: str
    words: str
    ratio: float
    few: bool


def _named(start: Evidence | None, now: Evidence) -> Named | None:
    """The input or target that is most out of scale against the first batch."""
    if start is None:
        return None
    usual_ones = {each.name: each for each in (*start.inputs, *start.targets)}
    worst: tuple[float, TensorProfile, TensorProfile] | None = None
    for each in (*now.inputs, *now.targets):
        other = usual_ones.get(each.name)
        if other is None or not other.absmax > 0:
            continue
        ratio = each.absmax / other.absmax
        if ratio > LARGER and (worst is None or ratio > worst[0]):
            worst = ratio, each, other
    if worst is None:
        return None
    ratio, each, other = worst
    words = say(
        "; the largest number of {tensor} is {now:.3g}, in the first batch {first:.3g}",
        tensor=each.name,
        now=each.absmax,
        first=other.absmax,
    )
    return Named(each.name, words, ratio, few=each.apart > FEW_APART > other.apart)


def _times(ratio: float) -> str:
    return say("{ratio:.3g} times", ratio=ratio) if math.isfinite(ratio) else say("without bound against")
