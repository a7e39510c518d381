"""Factors of a learning rate from step to step, as plain objects that a scheduler's `state_dict` can keep."""

import math
from dataclasses import dataclass


@dataclass
class InverseSqrt:
    """From a step on, the rate falls with the root of the number of steps.

    Example:
        >>> shape = InverseSqrt(4)
        >>> shape(3), round(shape(4) ** 2, 6)
        (1.0, 0.8)
    """

    since: int

    def __call__(self, step: int) -> float:
        return 1.0 if step < self.since else math.sqrt(step / (step + 1))


@dataclass
class Decay:
    """From a step on, the rate falls to a part of itself, and stays there.

    `kind` is "linear", "cosine" or "1-sqrt"; a call gives the factor from the step before to this one.

    Example:
        >>> shape = Decay(since=10, steps=2, final=0.0, kind="linear")
        >>> [shape(step) for step in (10, 11, 12, 13)]
        [1.0, 0.5, 0.0, 1.0]
    """

    since: int
    steps: int
    final: float
    kind: str

    def level(self, step: int) -> float:
        """What part of the stable rate is left at a step."""
        if step >= self.since + self.steps:
            return self.final
        if step <= self.since:
            return 1.0
        share = (step - self.since) / self.steps
        left = {
            "linear": 1 - share,
            "cosine": (1 + math.cos(math.pi * share)) / 2,
            "1-sqrt": 1 - math.sqrt(share),
        }[self.kind]
        return self.final + (1 - self.final) * left

    def __call__(self, step: int) -> float:
        before = self.level(step - 1)
        return self.level(step) / before if before else 1.0
