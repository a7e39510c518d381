"""The step is beyond the stability limit.

Along the sharpest direction of the loss a step of length lr overshoots once sharpness times lr exceeds 2 (for Adam, the
preconditioned form): the loss swings with growing amplitude.

Seen in: sharpness against the limit of the optimizer, and a few real steps on one batch, which make its loss worse at
this rate and better at a tenth of it; with the first weights, or with those of the onset where it was raised later.
In a run that learns nothing, in a gradient that arrived at the first layers with the first weights, and does not now.
Where no pass can be computed again, in the gradients of successive steps: how they point along the step between them.

Remedies: lower-learning-rate, warm-up, clip-global-norm.

Reference: Cohen et al., "Gradient descent on neural networks typically occurs at the edge of stability", 2021.
"""

import math
from collections.abc import Iterator

import numpy as np

from ..._i18n import say
from ...findings import Finding
from ...rules.depth import arriving, depth, fading
from ...rules.learning_rate import EARLY, REPLACED, of_drawn_weights
from ...rules.learning_rate import learning_rate as rule
from ..case import Case, weighed
from ..rates import climb, jump, rises
from .weight_growth import bottomless, chasing, drifting

CAUSE = "learning-rate"

FAR = 4.0
"""Ratio of sharpness to its limit that no training at the edge of stability reaches by itself."""

BEYOND = 1.5
"""The same where a rate that rises has led there, and not the weights."""

LAGS = 10.0
"""Times that gradients are larger than the second moment expects."""

RAISED = 2.0
"""Factor from which a rate is called raised."""

ALONG = 8
"""Steps around the onset whose gradients are compared."""

NEAR = 64
"""Steps before the onset from which it may be far away."""

AFTER = 8
"""Steps after it: where nobody acts, they go on as it began."""

FEWEST_ALONG = 2
"""Of them, at least: a rate that is far too large leaves no more."""

BACK = 1.0
"""Ratio from which a step goes beyond the point across the valley that is as high as where it began."""

YOUNG = 32
"""Steps in which a rate has shown how far it carries weights."""

GENTLE = 0.02
"""The part of most weights' size that one step may change: of transformers whose rate is right and warmed up, the
largest steps change as much."""

STILL_TOO_FAR = 0.5
"""The part of a rate that has thrown weights away which it is brought to at the most."""

FLUNG = 4.0
"""Times by which weights of a run that has learned nothing have grown in so few steps, to be where the steps threw
them: a sound step changes a weight by a thousandth of itself."""

WITHERED = 30.0
"""Times less of the gradient that arrives at the first layers than did with the first weights, from which the steps
between have cut them off: that is what a missing warm-up does to a deep net."""

UNNATURAL = 3.0
"""Times the size of weights that neither amplify nor damp, below which they may have been drawn too small."""


def learning_rate(case: Case) -> Iterator[Finding]:
    """By sharpness and steps, at the start and at the onset; by a rate that had just been raised."""
    if next(bottomless(case), None) is not None:
        return  # along a loss without a minimum any rate is too large in the end
    if next(chasing(case), None) is not None:
        return  # a lower rate only makes it rise more slowly
    at_start = case.at_start(rule, CAUSE)
    at_onset = case.at_onset(rule, CAUSE)
    if case.start is None and not case.looks:
        yield from _overshoots(case)
    if case.stalled:
        yield from _flung(case)
        yield from _withered(case)
    elif case.onset < EARLY and case.divides_by_squares:  # then steps are as long as the rate, whatever gradients are
        yield from _replaced(case)
    jumped = jump(case)
    climbed = climb(case)
    crossed = _crossed(case)
    if at_start:
        yield from at_start
    elif at_onset:
        raised = jumped is not None or climbed is not None or rises(case)
        # Where gradients have outgrown the second moment every rate is too large, until it has learned of them.
        stale = case.rescaled and _lag(case) > LAGS
        # A rate that was sound at first, and has not been raised, has become too large for weights that have grown.
        grown = not raised and case.start is not None and next(drifting(case), None) is not None
        certainty = 0.5 if stale or grown else 1.0 if raised or case.start is None else 0.8
        yield from (weighed(each, certainty) for each in at_onset)
    elif crossed is not None:
        yield crossed
    if at_start or at_onset or crossed:
        return
    if jumped is not None:
        factor, rate, before = jumped
        words = say(
            "the learning rate had risen to {rate:.3g}, {factor:.3g} times the highest one that had done no harm",
            rate=rate,
            factor=factor,
        )
        yield _raised(case, words, {"lr": rate, "highest_before": before})
    elif climbed is not None:
        factor, rate = climbed
        words = say(
            "the learning rate had climbed to {rate:.3g}, {factor:.3g} times what it was at half of the steps until "
            "then",
            rate=rate,
            factor=factor,
        )
        yield _raised(case, words, {"lr": rate, "times_half_way": factor})


def _raised(case: Case, words: str, evidence: dict[str, float]) -> Finding:
    """What is known of the rate alone, where no pass could tell what it does."""
    remedies = ("lower-learning-rate", "warm-up", "clip-global-norm")
    return Finding(CAUSE, 0.7, f"optimizer {case.optimizer}", words, evidence, remedies, case.onset)


def _overshoots(case: Case) -> Iterator[Finding]:
    """By successive gradients: after a step they point back along it more strongly than they had pointed ahead.

    Then the loss along the step has come out higher than it went in, were it a parabola. Each gradient is of a batch of
    its own, so a single ratio is noise: what counts is the median of those around the onset. Of a few
    coordinates, and no curvature of the whole: it says less than a pass that is computed again.
    """
    seen = [each for symptoms in case.symptoms for each in symptoms.get("along") or ()]
    steps = case.steps
    # What was clipped, or made at a rate that was lowered for it, does not speak of the rate that was chosen.
    at = steps.lr[steps.step <= case.onset]
    whole = set(steps.step[(steps.coefficient == 1) & (steps.lr >= (at[-1] if len(at) else math.nan))].tolist())
    near: dict[int, np.ndarray] = {}
    for step, *dots in seen:  # one for each device; that the next look has them again changes no ratio
        if step in whole and case.onset - NEAR <= step <= case.onset + AFTER:
            near[step] = near.get(step, np.zeros(3)) + np.array(dots, dtype=float)
    known = [each for each in near.values() if np.isfinite(each).all() and each[0] < 0 < each[2]][-ALONG:]
    if len(known) < FEWEST_ALONG:
        return
    ratio = float(np.median([back / -ahead for ahead, back, _ in known]))
    if not ratio > BACK:
        return
    curvature = float(np.median([(back - ahead) / square for ahead, back, square in known]))
    yield Finding(
        CAUSE,
        0.6,
        f"optimizer {case.optimizer}",
        say(
            "after a step the gradient points back along it {ratio:.3g} times as strongly as it had pointed ahead "
            "(median of {count} steps): they overshoot",
            ratio=ratio,
            count=len(known),
        ),
        {"overshoot": ratio, "directional_sharpness": curvature, "steps": len(known)},
        ("lower-learning-rate", "warm-up", "clip-global-norm"),
        case.onset,
    )


def _flung(case: Case) -> Iterator[Finding]:
    """By weights that the first steps have made many times larger than they were, and than any start makes them."""
    steps, norms = case.recording.vectors("param_norm", case.optimizer, last=min(YOUNG, case.onset) + 1)
    shapes = _shapes(case, norms.shape[1])
    if not shapes or len(steps) < 2 or steps[0] > 2:
        return
    matrices = _matrices(shapes)
    first, last = (float(np.linalg.norm(np.maximum(norms[row][matrices], 0.0))) for row in (0, -1))
    natural = math.sqrt(sum(shapes[place][0] for place in matrices))
    if not (first > 0 and last > FLUNG * first and last > UNNATURAL * natural):
        yield from _replaced(case)
        return
    yield Finding(
        CAUSE,
        0.85,
        f"optimizer {case.optimizer}",
        say(
            "{count} steps have made the weights {times:.3g} times as long: a norm of {first:.3g} is one of {last:.3g}",
            count=int(steps[-1] - steps[0]),
            times=last / first,
            first=first,
            last=last,
        ),
        {"weight_norm_first": first, "weight_norm": last, "steps": int(steps[-1])},
        ("lower-learning-rate", "warm-up"),
        case.onset,
    )


def _gentler(case: Case, first: float) -> dict[str, float]:
    """By what to multiply the rate of the onset for steps like the first one to be gentle."""
    rates, at = case.steps.lr, case.steps.lr[case.steps.step <= case.onset]
    if not (rates[0] > 0 and at[-1] > 0):
        return {}
    return {"stable_factor": min(STILL_TOO_FAR, GENTLE / (first * float(at[-1] / rates[0])))}


def _shapes(case: Case, measured: int) -> list[tuple[int, ...]]:
    """Those of the tensors that were `measured`, of all that the optimizer trains by now."""
    known = next((each for each in case.recording.optimizers() if each.index == case.optimizer), None)
    return [] if known is None else [each.shape for each in known.tensors][:measured]


def _matrices(shapes: list[tuple[int, ...]]) -> list[int]:
    return [place for place, shape in enumerate(shapes) if len(shape) > 1]


def _replaced(case: Case) -> Iterator[Finding]:
    """By first steps that together have moved most weights by more than their own size.

    How far the first one went was measured. How far the others went is taken to go with the rate alone, as Adam's do,
    or with rate and gradient, as plain ones do: by whichever is less.
    """
    sampled, ratios = case.recording.vectors("update_ratio", case.optimizer, last=3)
    known = of_drawn_weights(ratios[0][_matrices(_shapes(case, ratios.shape[1]))]) if len(sampled) else np.zeros(0)
    steps = case.steps
    rates, norms = steps.lr[:EARLY], steps.grad_norm[:EARLY]
    if not len(known) or not (norms[0] > 0 and np.isfinite(rates).all()):
        return
    by_rate = rates / rates[0] if rates[0] > 0 else np.ones(len(rates))  # a script's own updates have none to be read
    moved = float(np.median(known)) * min(by_rate.sum(), np.nansum(by_rate * norms / norms[0]))
    if not REPLACED < moved < math.inf:
        return
    yield Finding(
        CAUSE,
        0.85,
        f"optimizer {case.optimizer}",
        say(
            "the first {count} steps have moved most weights by {times:.3g} times their own size",
            count=len(rates),
            times=moved,
        ),
        {
            "moved": moved,
            "first_ratio": (first := float(np.median(known))),
            "steps": len(rates),
            **_gentler(case, first),
        },
        ("lower-learning-rate", "warm-up"),
        case.onset,
    )


def _withered(case: Case) -> Iterator[Finding]:
    """By a gradient that arrived at the first layers with the first weights, and does not by now."""
    rule = fading if case.ignores_samples else depth
    fades = case.at_onset(rule, "vanishing-depth")
    if case.start is None or not fades or case.at_start(rule, "vanishing-depth"):
        return
    before, now = arriving(case.start), float(fades[0].evidence["grad_gain"])
    if before is None or not before > WITHERED * now:
        return
    yield Finding(
        CAUSE,
        0.7,
        f"optimizer {case.optimizer}",
        say(
            "with the first weights {before:.2g} of the gradient arrived at the first layers, after {count} steps "
            "{now:.2g}: the steps have cut them off",
            before=before,
            count=case.onset,
            now=now,
        ),
        {"grad_gain_first": before, "grad_gain": now},
        ("lower-learning-rate", "warm-up"),
        case.onset,
    )


def _lag(case: Case) -> float:
    seen = case.symptoms[0].get("second_moment_ratio", {}) if case.symptoms else {}
    return float(seen.get("largest") or 0.0)


def _crossed(case: Case) -> Finding | None:
    """Sharpness that was bearable at the first rate, and is far beyond the limit at the one of the onset."""
    first, look = case.start, case.first
    if first is None or first.edge is None or look is None or look.evidence.edge is None:
        return None
    before, now = first.edge, look.evidence.edge
    raised = now.lr / before.lr if before.lr else math.inf  # a warm-up may begin at 0
    # Any training comes to the edge by itself: where only the rate has gone up, and still does, it was led there.
    led = rises(case) and raised > RAISED and now.sharpness < math.sqrt(raised) * before.sharpness
    if not now.ratio > (BEYOND if led else FAR) or not before.ratio < 1.0:
        return None
    words = say(
        "sharpness is {ratio:.3g} times what {formula} bears at a rate of {lr:.3g}; with the first weights and "
        "rate of {first_lr:.3g} it was {first_ratio:.3g} times",
        ratio=now.ratio,
        formula=now.formula,
        lr=now.lr,
        first_lr=before.lr,
        first_ratio=before.ratio,
    )
    if not before.lr:  # at which nothing is too sharp
        words = say(
            "sharpness is {ratio:.3g} times what {formula} bears at a rate of {lr:.3g}; the first one was 0",
            ratio=now.ratio,
            formula=now.formula,
            lr=now.lr,
        )
    return Finding(
        CAUSE,
        0.55 if raised <= RAISED else 0.85 if before.lr else 0.8,
        f"optimizer {case.optimizer}",
        words,
        {"sharpness_ratio": now.ratio, "lr": now.lr, "first_lr": before.lr, "first_sharpness_ratio": before.ratio},
        ("lower-learning-rate", "warm-up", "clip-global-norm"),
        case.onset,
    )
