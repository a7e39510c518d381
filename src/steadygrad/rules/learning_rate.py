"""The learning rate: sharpness against what the optimizer bears, and a few real steps."""

import math
from collections.abc import Iterator

import numpy as np

from .._i18n import say
from ..evidence import Evidence, best
from ..findings import Finding, Measurement

FAR = 4.0
"""Ratio from which sharpness alone is a finding, where no steps could be tried. Below it a training may still catapult
itself to a flatter place, and a clip that a script applies, which is not seen here, holds it."""


WORSE = 1.5
"""Factor by which some steps must make a loss worse where curvature does not say why."""

EARLY = 8
"""First steps that are added up."""

REPLACED = 1.0
"""The part of itself by which most weights may move in them, before nothing of what they were drawn as is left."""

FROM_ZERO = 1e6
"""Times its own size from which the first step is that of weights that began at zero: whatever it is, it is as many."""


def of_drawn_weights(ratios: np.ndarray) -> np.ndarray:
    """The update ratios of a first step that say how far it went: not where none was measured, nor from zero."""
    return ratios[(ratios >= 0) & (ratios < FROM_ZERO)]


def learning_rate(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`learning-rate` if some steps on one batch make its loss worse, and smaller steps make it better."""
    edge = evidence.edge
    if edge is not None:
        yield Measurement(
            say("sharpness over its limit"),
            f"{edge.optimizer}, lr {edge.lr:g}",
            edge.ratio,
            "1",
            say("beyond {formula} a step overshoots along the sharpest direction", formula=edge.formula),
            edge.ratio > 1,
        )
    if not evidence.rehearsals:
        if edge is not None and edge.ratio > FAR:
            yield Finding(
                "learning-rate",
                min(0.85, 0.6 + math.log(edge.ratio / FAR) / 10),
                evidence.optimizer,
                say(
                    "sharpness is {ratio:.3g} times what {formula} bears: steps overshoot",
                    ratio=edge.ratio,
                    formula=edge.formula,
                ),
                {"sharpness_ratio": edge.ratio, "sharpness": edge.sharpness, "limit": edge.limit, "lr": edge.lr},
                remedies_for(evidence.optimizer),
            )
        return
    first, rest = evidence.rehearsals[0], evidence.rehearsals[1:]
    # One that has been infinite on the way is no sound one, wherever it ends: float16 comes back from there.
    end = first.end if all(map(math.isfinite, first.losses)) else math.inf
    yield Measurement(
        say("loss after {steps} steps", steps=len(first.losses) - 1),
        evidence.optimizer,
        end,
        say("below {first:.4g}, where it began", first=first.losses[0]),
        say("one batch is easy to learn"),
        first.diverged,
    )
    good = best(rest)
    beyond = edge is not None and edge.ratio > 1
    # A little worse after a few steps is how a warm-up begins, unless curvature says that it will go on.
    if first.diverged and good is not None and (beyond or not end < WORSE * first.losses[0]):
        yield Finding(
            "learning-rate",
            0.9 if beyond else 0.75,
            evidence.optimizer,
            say(
                "{steps} steps on one batch take its loss from {first:.3g} to {last:.3g}; at {factor:g} times the "
                "learning rate to {better:.3g}",
                steps=len(first.losses) - 1,
                first=first.losses[0],
                last=end,
                factor=good.factor,
                better=good.end,
            ),
            {
                "sharpness_ratio": None if edge is None else edge.ratio,
                "losses": [value if math.isfinite(value) else str(value) for value in first.losses],
                "stable_factor": good.factor,
            },
            remedies_for(evidence.optimizer),
        )


def bearable(evidence: Evidence) -> dict[str, float]:
    """What is known of the rate that a model bears as it is, for whoever cannot change what asks for it."""
    good, edge = best(evidence.rehearsals[1:]), evidence.edge
    known = {"stable_factor": None if good is None else good.factor, "sharpness_ratio": edge and edge.ratio}
    return {name: value for name, value in known.items() if value is not None}


def remedies_for(optimizer: str) -> tuple[str, ...]:
    """What brings an optimizer's steps back to where its model of the loss holds.

    >>> remedies_for("LBFGS")[0]
    'strong-wolfe'
    """
    always = ("lower-learning-rate", "warm-up", "clip-global-norm")
    return ("strong-wolfe", *always) if optimizer == "LBFGS" else always
