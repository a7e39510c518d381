"""The scale of the loss: summed over the batch, or against targets that are far from unit size."""

import math
from collections.abc import Iterator

from .._i18n import say
from ..evidence import Evidence
from ..findings import Finding, Measurement
from .data import EFFECT, LARGEST, effect
from .learning_rate import bearable
from .outliers import of_few

GROWTH = (1.8, 2.2)
"""What twice the same samples make of a loss that is summed over them."""


COUNTS = 300.0
"""Counts of this size are what they are: a likelihood of counts has no use for standardised ones."""

DISTANCES = ("mse_loss", "l1_loss", "huber_loss")
"""Losses that are a distance from the target, whatever it counts."""
SAME = 0.3
"""By how much a loss may differ from the mean and be one: there are weights of classes and small terms beside it."""

FAR = 300.0
"""Targets this many times the first outputs are out of reach of steps that are made for unit size."""


def loss_scale(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`loss-scale` if the loss doubles with the batch, or if standardised targets make the gradient behave; those of a
    few samples that stand apart are an `outlier-batch`."""
    yield from _summed(evidence)
    yield from _targets(evidence)


def _summed(evidence: Evidence) -> Iterator[Finding | Measurement]:
    ratio = math.nan if evidence.doubled is None else evidence.doubled
    if math.isfinite(ratio):
        summed = GROWTH[0] < ratio < GROWTH[1]
        yield Measurement(
            say("loss of the batch twice"), "loss", ratio, "1", say("a mean does not grow with the batch"), summed
        )
    else:
        summed = evidence.base.reduction == "sum"
    edge, tried = evidence.edge, evidence.rehearsals
    harmful = (edge is not None and edge.ratio > 1) or (bool(tried) and tried[0].diverged)
    if _is_mean(evidence):
        return  # however it grows: it may be divided by a count that came with the batch
    if not summed or ((edge is not None or tried) and not harmful):
        return  # a rate that was chosen for it, or an optimizer that no factor moves
    rows = evidence.rows
    yield Finding(
        "loss-scale",
        0.95 if math.isfinite(ratio) else 0.85,
        "loss",
        say(
            "the loss is summed over the batch, not averaged: gradients are {rows} times as large as those of the "
            "mean, and grow with the batch size",
            rows=rows,
        )
        if rows
        else say("the loss is summed over the batch, not averaged: gradients grow with the batch size"),
        {
            "doubled_ratio": ratio,
            "samples": rows,
            "grad_norm": evidence.base.grad_norm,
            "reduction": "sum",
            **bearable(evidence),
        },
        ("mean-reduction", "divide-learning-rate-by-batch-size"),
    )


def _is_mean(evidence: Evidence) -> bool:
    """Whether the loss is as large as the mean of torch's own loss for classes in it."""
    seen = evidence.base.losses
    return len(seen) == 1 and abs(evidence.base.loss - seen[0].mean_loss) <= SAME * abs(seen[0].mean_loss)


def _targets(evidence: Evidence) -> Iterator[Finding | Measurement]:
    for each in evidence.targets:
        size = max(each.rms, abs(each.mean))
        yield Measurement(
            say("target rms"),
            each.name,
            size,
            say("at most {limit:g}", limit=LARGEST),
            say("a network's first outputs are of about unit size"),
            size > LARGEST,
        )
        counted = each.counts and size < COUNTS and not each.name.endswith(DISTANCES)
        if size <= LARGEST or evidence.standard_target is None or counted:
            continue
        nats, words = effect(evidence.base, evidence.standard_target)
        far: dict[str, float] = {}
        reach = size / max(evidence.base.output_rms or 0.0, 1e-12)
        if nats < EFFECT and reach > FAR:
            nats, words = math.log(reach), say("outputs need not grow {reach:.3g} times first", reach=reach)
            far = {"reach": reach}
        if nats >= EFFECT:
            found = Finding(
                "loss-scale",
                min(0.97, 0.8 + nats / 50),
                each.name,
                say(
                    "{target} has mean {mean:.3g} and standard deviation {std:.3g}: standardised, {effect}",
                    target=each.name,
                    mean=each.mean,
                    std=each.std,
                    effect=words,
                ),
                {
                    "rms": each.rms,
                    "mean": each.mean,
                    "std": each.std,
                    "grad_norm": evidence.base.grad_norm,
                    "grad_norm_standardised": evidence.standard_target.grad_norm,
                    **far,
                    **bearable(evidence),
                },
                ("standardise-targets", "standardise-last-layer"),
            )
            yield of_few(found, each)
