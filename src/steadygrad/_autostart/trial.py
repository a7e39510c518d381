"""A process that is a trial: one remedy applied, its losses tallied, nothing watched."""

import atexit
from pathlib import Path

from .. import _config
from ..interventions import Applied, intervention_for
from .tally import Tally


def start(config: _config.TrialConfig, folder: Path) -> None:
    """Apply the remedy to this process."""
    applied = [] if config.remedy is None else [intervention_for(config.remedy, config.where, **config.options)]
    rank = _config.rank()
    path = folder / (_config.TRIAL if rank == 0 else f"rank{rank}-{_config.TRIAL}")  # the first rank speaks for all
    tally = Tally(path, config.steps, lambda: sum(each.times for each in applied))
    everything = Applied(applied)
    everything.on_backward, everything.on_step = tally.backward, tally.step
    everything.install()
    atexit.register(tally.end)
