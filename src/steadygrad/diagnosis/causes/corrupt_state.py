"""Optimizer moments or buffers damaged while data and gradients are sound.

A checkpoint that was cut, a moment that became NaN in one step, running statistics of zero variance: the batch and its
gradient are fine, and the step is not.

Seen in: moments that are not finite, negative squares, moments far above any gradient there was, buffers that are not
finite.

Reference: torch documentation, `torch.optim.Optimizer.load_state_dict`.
"""

import math
from collections.abc import Iterator

from ...findings import Finding
from ..case import Case, usual

CAUSE = "corrupt-state"

FAR = 100.0
"""How many times the usual gradient a first moment is from which no gradient has made it."""

FIRST_MOMENTS = ("exp_avg", "momentum_buffer")

SQUARES = ("exp_avg_sq", "square_avg", "sum", "max_exp_avg_sq")

BUFFERS = ("nonfinite-buffer", "broken-buffer")


def corrupt_state(case: Case) -> Iterator[Finding]:
    """By the state at the first alarm."""
    remedies = ("reset-moments", "reload-checkpoint")
    sound = case.first is None or case.first.evidence.base.finite
    for name, each in case.symptoms[0].get("moments", {}).items() if case.symptoms else ():
        norm, least, bad = float(each["norm"]), float(each["smallest"]), float(each["nonfinite"])
        history = usual(case.before("grad_norm"))
        level = float(case.before("grad_norm").max()) if history else None
        words = ""
        if bad or math.isnan(norm):
            words = f"{name} holds {bad:.0f} numbers that are not finite"
        elif name in SQUARES and least < 0:
            words = f"{name} is a mean of squares and holds {least:.3g}"
        elif name in FIRST_MOMENTS and level and norm > FAR * level:
            words = f"{name} has norm {norm:.3g}, the largest gradient before it {level:.3g}"
        if words and sound:
            yield Finding(
                CAUSE,
                0.93,
                name,
                f"{words}, while the batch and its gradient are sound",
                dict(each),
                remedies,
                case.onset,
            )
            return
    hit = next((alarm for alarm in case.alarms if alarm.detector in BUFFERS), None)
    if hit is not None and hit.step <= case.onset + 1 and sound:
        where = ", ".join(hit.detail.get("buffers", ())) or "buffers"
        yield Finding(
            CAUSE, 0.8, where, f"{where} are damaged while gradients are sound", dict(hit.detail), remedies, hit.step
        )
