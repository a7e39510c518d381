"""Rescuing an unmodified script: re-run with one change at a time, in processes of its own. No torch.

`rescue` is the order of it all, `job` one trial, `executors` who runs them, `pool` processes beside each other,
`workspace` where, `change` what the user is told to change.
"""

from .change import Change
from .executors import Executor, LocalExecutor, RayExecutor
from .job import OUTPUT, run_group
from .pool import Pool, Started
from .rescue import RESCUE, Events, Rescue, Result
from .workspace import Workspace

__all__ = [
    "OUTPUT",
    "RESCUE",
    "Change",
    "Events",
    "Executor",
    "LocalExecutor",
    "Pool",
    "RayExecutor",
    "Rescue",
    "Result",
    "Started",
    "Workspace",
    "run_group",
]
