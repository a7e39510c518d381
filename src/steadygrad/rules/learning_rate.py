"""The learning rate: sharpness against what the optimizer bears, and a few real steps."""

import math
from collections.abc import Iterator

from ..evidence import Evidence, best
from ..findings import Finding, Measurement

FAR = 4.0
"""Ratio from which sharpness alone is a finding, where no steps could be tried. Below it a training may still catapult
itself to a flatter place, and a clip that a script applies, which is not seen here, holds it."""


WORSE = 1.5
"""Factor by which some steps must make a loss worse where curvature does not say why."""


def learning_rate(evidence: Evidence) -> Iterator[Finding | Measurement]:
    """`learning-rate` if some steps on one batch make its loss worse, and smaller steps make it better."""
    edge = evidence.edge
    if edge is not None:
        yield Measurement(
            "sharpness over its limit",
            f"{edge.optimizer}, lr {edge.lr:g}",
            edge.ratio,
            "1",
            f"beyond {edge.formula} a step overshoots along the sharpest direction",
            edge.ratio > 1,
        )
    if not evidence.rehearsals:
        if edge is not None and edge.ratio > FAR:
            yield Finding(
                "learning-rate",
                min(0.85, 0.6 + math.log(edge.ratio / FAR) / 10),
                evidence.optimizer,
                f"sharpness is {edge.ratio:.3g} times what {edge.formula} bears: the first steps overshoot",
                {"sharpness_ratio": edge.ratio, "sharpness": edge.sharpness, "limit": edge.limit, "lr": edge.lr},
                ("lower-learning-rate", "warm-up", "clip-global-norm"),
            )
        return
    first, rest = evidence.rehearsals[0], evidence.rehearsals[1:]
    yield Measurement(
        f"loss after {len(first.losses) - 1} steps",
        evidence.optimizer,
        first.end,
        f"below {first.losses[0]:.4g}, where it began",
        "one batch is easy to learn",
        first.diverged,
    )
    good = best(rest)
    beyond = edge is not None and edge.ratio > 1
    # A little worse after a few steps is how a warm-up begins, unless curvature says that it will go on.
    if first.diverged and good is not None and (beyond or not first.end < WORSE * first.losses[0]):
        yield Finding(
            "learning-rate",
            0.9 if beyond else 0.75,
            evidence.optimizer,
            f"{len(first.losses) - 1} steps on one batch take its loss from {first.losses[0]:.3g} to "
            f"{first.end:.3g}; at {good.factor:g} times the learning rate to {good.end:.3g}",
            {
                "sharpness_ratio": None if edge is None else edge.ratio,
                "losses": [value if math.isfinite(value) else str(value) for value in first.losses],
                "stable_factor": good.factor,
            },
            ("lower-learning-rate", "warm-up", "clip-global-norm"),
        )
