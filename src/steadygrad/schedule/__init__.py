"""Learning rates over time, on the scheduler classes of torch, and the largest stable one.

`warmup` and `stable_decay` are schedules (`shapes` their curves), `rewarm` a ramp beside any schedule. `stable_rate`
and `range_test` find a rate, one from sharpness, one by trying.
"""

from ..records import RangeTest
from .range_test import range_test
from .rewarm import Rewarm, rewarm
from .stable_decay import warmup_stable_decay
from .stable_rate import MaxStableLR, max_stable_lr
from .warmup import warmup

__all__ = [
    "MaxStableLR",
    "RangeTest",
    "Rewarm",
    "max_stable_lr",
    "range_test",
    "rewarm",
    "warmup",
    "warmup_stable_decay",
]
