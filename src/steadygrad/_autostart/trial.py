"""A process that is a trial: its remedies applied, its losses tallied, nothing watched."""

import atexit
from pathlib import Path

from .. import _config
from .remedied import interventions, lie_on
from .tally import Tally


def start(config: _config.ChildConfig) -> None:
    """Apply the remedies to this process, and tally its losses."""
    applied = interventions(config.remedies)
    rank = _config.rank()
    name = _config.TALLY if rank == 0 else f"rank{rank}-{_config.TALLY}"  # the first rank speaks for all
    tally = Tally(Path(config.folder) / name, config.steps, lambda: sum(each.times for each in applied))
    everything = lie_on(applied)
    everything.on_backward, everything.on_step = tally.backward, tally.step
    atexit.register(tally.end)
