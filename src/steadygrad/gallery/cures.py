"""The cures of the field, and ours, as they are tried on each demo: alone, and together."""

from collections.abc import Mapping
from dataclasses import dataclass

from .. import _config
from .._i18n import later

BARE, PROTECTED, REPAIRED = "bare", "protect", "repair"

WARM_UP = 0.1
"""The part of the steps over which the rate rises; after it, it falls by half a cosine."""

WEIGHT_DECAY: Mapping[str, float] = {"sgd": 5e-4, "adam": 1e-2}
"""What weights are usually decayed by: torchvision's recipes for SGD, torch's default for AdamW."""

CLIP, DECAY, INITIALISATION, SCHEDULE = (
    "clip-global-norm",
    "decoupled-weight-decay",
    "auto-initialisation",
    "warm-up",
)
FAMILIES = (CLIP, DECAY, INITIALISATION, SCHEDULE)


@dataclass(frozen=True, slots=True)
class Cure:
    """A row of the table of cures.

    Attributes:
        id: permanent.
        title: in English; say it.
        families: the remedies that are applied.
        mode: how it is run: bare (with the remedies and nothing else), protect or repair.
    """

    id: str
    title: str
    families: tuple[str, ...] = ()
    mode: str = BARE


NOTHING = Cure("nothing", later("nothing"))
WATCHED = Cure("steadygrad", "steadygrad run", (), PROTECTED)
REPAIR = Cure("repair", "--mode repair", (), REPAIRED)

TOGETHER = Cure("together", later("all four"), FAMILIES)

CURES = (
    NOTHING,
    Cure("clip", later("gradient clipping"), (CLIP,)),
    Cure("decay", later("weight decay"), (DECAY,)),
    Cure("initialisation", later("initialisation"), (INITIALISATION,)),
    Cure("schedule", later("learning-rate schedule"), (SCHEDULE,)),
    TOGETHER,
    WATCHED,
    Cure("everything", later("all four + steadygrad run"), FAMILIES, PROTECTED),
)
"""The rows of the table of cures."""

MAIN = (NOTHING, TOGETHER, WATCHED)
"""Those that tell most."""


def remedies(cure: Cure, optimizer: str, steps: int) -> tuple[_config.RemedyConfig, ...]:
    """What a row applies, with its numbers.

    Args:
        cure: the row.
        optimizer: "sgd" or "adam".
        steps: of the run.
    """
    options = {
        CLIP: {"max_norm": 1.0},
        DECAY: {"weight_decay": WEIGHT_DECAY[optimizer]},
        SCHEDULE: {"steps": max(1, round(WARM_UP * steps)), "total": steps},
    }
    return tuple(_config.RemedyConfig(name, options=options.get(name, {})) for name in cure.families)
