"""steadygrad keeps neural-network training steady.

The names below are loaded when they are first used, so that a recorded run opens without torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

_HOMES = {
    "check": ".preflight",
    "watch": "._watch",
    "Watch": "._watch",
    "open_run": ".diagnosis",
    "try_remedies": ".interventions",
    "write_report": ".report",
    "clip": ".clip",
    "init": ".init",
    "measure": ".measure",
    "penalty": ".penalty",
    "schedule": ".schedule",
    "SteadygradError": ".errors",
    "TrainingDiverged": ".errors",
}

__all__ = [
    "SteadygradError",
    "TrainingDiverged",
    "Watch",
    "check",
    "clip",
    "init",
    "measure",
    "open_run",
    "penalty",
    "schedule",
    "try_remedies",
    "watch",
    "write_report",
]

if TYPE_CHECKING:
    from . import clip as clip
    from . import init as init
    from . import measure as measure
    from . import penalty as penalty
    from . import schedule as schedule
    from ._watch import Watch as Watch
    from ._watch import watch as watch
    from .diagnosis import open_run as open_run
    from .errors import SteadygradError as SteadygradError
    from .errors import TrainingDiverged as TrainingDiverged
    from .interventions import try_remedies as try_remedies
    from .preflight import check as check
    from .report import write_report as write_report


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_HOMES[name], __name__)
    return module if _HOMES[name] == f".{name}" else getattr(module, name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
