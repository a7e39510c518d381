"""Weights or logits drift up, nothing holds them.

Without decay, normalisation or a penalty on logits, weights may grow for thousands of steps while the loss looks fine,
until activations leave the range in which anything is stable.

Seen in: the norm of the weights from the first steps to the onset, sample by sample; a loss that falls without end
while gradients grow; a loss that rises along its own gradient however small the steps: a target that is computed from
the weights, and detached, runs away with them; a decay that is negative.

Remedies: decoupled-weight-decay, constrain-weight-norms, z-loss, normalisation, target-network.

Reference: Chowdhery et al., "PaLM: Scaling language modeling with pathways", 2022 (z-loss).
"""

import math
from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ..case import Case, nats, weighed
from ..rates import climb

CAUSE = "weight-growth"

FARTHER = 1.25
"""How much farther than to the last sample a growth is followed, at the most."""

GROWTH = 3.0
"""Factor by which the weights must have grown."""

TOLD_OF = 1.7
"""The same where the alarm is about it: that a protected run was stopped on its way is no evidence against it."""

SEEN_AT = 4
"""Samples by then that show such a growth, and one more without such an alarm."""

FAR = 30.0
"""Times the first losses that a loss lies below zero, and times that gradients have grown, where there is no bottom."""

SMALL = 0.5
"""Part of the limit of sharpness below which no step overshoots: a loss falls along its gradient there."""

GENTLE = 1.5
"""Factor by which a loss may change from one small step to the next."""

RISEN = 1.1
"""Factor by which it must have risen over all of them: what is less may be a decay of the weights, or rounding."""

STEADY = 0.35
"""Share of that growth that a single stretch between samples may have: what jumps does not drift."""

UNEVEN = 1.5
"""The same, times the share of the steps that lie in that stretch: samples are rarer as a run goes on."""

BY_RATE = 0.5
"""What is left of that where the rate had climbed."""

DRIVEN = 1_000
"""Steps in which a negative decay has to double the weights to be more than a deviation."""


def weight_growth(case: Case) -> Iterator[Finding]:
    """By the sampled norms of the weights; by a loss that falls without bound, or that chases itself."""
    yield from driven(case)
    yield from bottomless(case)
    yield from chasing(case)
    driven_by_rate = climb(case) is not None  # weights grow with steps that do
    yield from (weighed(each, BY_RATE) if driven_by_rate else each for each in drifting(case))


def driven(case: Case) -> Iterator[Finding]:
    """The optimizer itself makes the weights larger at each step: its decay is negative."""
    groups = next(iter(case.symptoms), {}).get("groups") or ()
    told = [(group.get("weight_decay") or 0.0, group.get("lr") or 0.0) for group in groups]
    decays = [(float(decay * lr), float(decay)) for decay, lr in told]
    each_step, decay = min(decays, default=(0.0, 0.0))
    if each_step * DRIVEN > -math.log(2.0):
        return
    yield Finding(
        CAUSE,
        0.95,
        f"optimizer {case.optimizer}",
        say("a weight_decay of {decay:.3g} makes the weights larger at each step", decay=decay),
        {"weight_decay": decay},
        ("decoupled-weight-decay", "constrain-weight-norms"),
        case.onset,
    )


def drifting(case: Case) -> Iterator[Finding]:
    """The norm of the weights grows little by little, from the first steps to the onset."""
    steps, norms = case.recording.vectors("param_norm", case.optimizer, last=case.onset + 1)
    told_of = any(alarm.detector == "sustained-growth" for alarm in case.alarms if alarm.step == case.onset)
    if len(steps) < (SEEN_AT if told_of else SEEN_AT + 1):
        return
    sizes = np.where(norms < 0, 0.0, norms).astype(float)
    sizes = sizes[:, (norms >= 0).all(0)]
    if not sizes.shape[1] or not np.isfinite(sizes).all():
        return
    total = np.sqrt((sizes**2).sum(1))
    growth, least = (float(total[-1] / total[0]) if total[0] > 0 else 0.0), TOLD_OF if told_of else GROWTH
    if growth < least:
        return
    logs, taken = np.log(total), np.diff(steps) / (steps[-1] - steps[0])
    shares = np.diff(logs) / (logs[-1] - logs[0])
    longest = float(shares.max())
    if (shares > np.maximum(STEADY, UNEVEN * taken)).any():
        return
    tensors = case.recording.optimizers()[case.optimizer].tensors
    place = int(np.argmax(sizes[-1] - sizes[0]))
    # As far as the onset, at the same pace: when the last sample was taken before it is the clock's affair.
    beyond = min(FARTHER, (case.onset - steps[0]) / (steps[-1] - steps[0]))
    yield Finding(
        CAUSE,
        min(0.85, 0.6 + 0.1 * nats(growth ** max(1.0, float(beyond)) / least)),
        tensors[place].name if place < len(tensors) else "weights",
        say(
            "the weights have grown {growth:.3g} times from step {first} to {last}, little by little: nothing holds "
            "them",
            growth=growth,
            first=int(steps[0]),
            last=int(steps[-1]),
        ),
        {"growth": growth, "largest_share_of_one_stretch": longest},
        ("decoupled-weight-decay", "constrain-weight-norms", "z-loss", "normalisation"),
        case.onset,
    )


def chasing(case: Case) -> Iterator[Finding]:
    """The loss of one batch rises along its own gradient, at every rate: what is differentiated is not all of it.

    A step that is far below the limit of sharpness takes a loss down, to first order by the square of its gradient. If
    it goes up instead, step after step and not more slowly (what a momentum brings along fades), part of the loss moves
    with the weights and is not differentiated: a target that is made of the model's own outputs.
    """
    for look in case.looks:
        edge, tried = look.evidence.edge, look.evidence.rehearsals
        if edge is None or not tried or not 0.0 <= edge.ratio * tried[-1].factor < SMALL:
            continue
        losses = tried[-1].losses
        rises = np.diff(losses)
        gently = all(0.0 < before < after < GENTLE * before for before, after in pairwise(losses))
        if not gently or not losses[-1] > RISEN * losses[0] or not rises[-1] > rises[0]:
            continue
        yield Finding(
            CAUSE,
            0.85,
            "loss",
            say(
                "{steps} steps along its own gradient take the loss of one batch up, from {first:.3g} to {last:.3g}, "
                "at {factor:g} times the learning rate too, where sharpness is {ratio:.2g} of what is stable: a target "
                "that is computed from the weights runs away with them",
                steps=len(losses) - 1,
                first=losses[0],
                last=losses[-1],
                factor=tried[-1].factor,
                ratio=edge.ratio * tried[-1].factor,
            ),
            {"losses": list(losses), "factor": tried[-1].factor, "sharpness_ratio": edge.ratio * tried[-1].factor},
            ("target-network", "decoupled-weight-decay", "constrain-weight-norms", "normalisation"),
            case.onset,
        )
        return


def bottomless(case: Case) -> Iterator[Finding]:
    """The loss goes down and down, and gradients grow with it: it has no minimum, and weights follow it away."""
    steps = case.steps
    until = (steps.step <= case.onset) & steps.loss_known & np.isfinite(steps.loss) & np.isfinite(steps.grad_norm)
    losses, norms = steps.loss[until], steps.grad_norm[until]
    if len(losses) < 16:
        return
    size = max(1.0, float(np.abs(losses[:8]).max()))
    begun, now = float(np.median(norms[:8])), float(np.median(norms[-4:]))
    seen = any(alarm.detector == "bottomless-loss" for alarm in case.alarms)  # by its falling ever faster, perhaps
    if not losses[-4:].max() < -FAR * size or not now > (FAR**0.5 if seen else FAR) * begun > 0:
        return
    yield Finding(
        CAUSE,
        0.85,
        "loss",
        say(
            "the loss falls without end, from {first:.3g} to {last:.3g}, and the gradient grows with it, {ratio:.3g} "
            "times: nothing holds the weights",
            first=float(losses[0]),
            last=float(losses[-1]),
            ratio=now / begun,
        ),
        {"first_loss": float(losses[0]), "loss": float(losses[-1]), "growth_of_the_gradient": now / begun},
        ("constrain-weight-norms", "z-loss", "decoupled-weight-decay"),
        case.onset,
    )
