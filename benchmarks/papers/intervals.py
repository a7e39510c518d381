"""Intervals for what a few seeds can say."""

import math
from collections.abc import Callable, Sequence
from statistics import fmean

import torch

Z95 = 1.959964
"""Of a two-sided interval of 95 %."""


def wilson(hits: int, trials: int) -> tuple[float, float]:
    """The Wilson interval (95 %) of a success rate; sensible at 0 of n and n of n too.

    >>> [round(end, 3) for end in wilson(10, 10)]
    [0.722, 1.0]
    """
    if trials == 0:
        return 0.0, 1.0
    rate, share = hits / trials, Z95 * Z95 / trials
    middle = (rate + share / 2) / (1 + share)
    half = math.sqrt(rate * (1 - rate) * share + share * share / 4) / (1 + share)
    return max(0.0, middle - half), min(1.0, middle + half)


def bootstrap(
    values: Sequence[float], statistic: Callable[[Sequence[float]], float] = fmean, draws: int = 2000
) -> tuple[float, float]:
    """The percentile bootstrap interval (95 %) of a statistic; of few values it is too narrow, by about a fifth at 5.

    >>> low, high = bootstrap([1.0, 2.0, 3.0, 4.0, 5.0])
    >>> 1.0 < low < 2.5 and 3.5 < high < 5.0
    True
    """
    generator = torch.Generator().manual_seed(0)
    places = torch.randint(len(values), (draws, len(values)), generator=generator).tolist()
    found = sorted(statistic([values[place] for place in row]) for row in places)
    return found[int(0.025 * draws)], found[int(0.975 * draws) - 1]
