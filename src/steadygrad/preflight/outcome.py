"""What the child of `steadygrad check` leaves for its parent."""

import json
from pathlib import Path

from ..findings import OUTCOME, CheckResult


def write_outcome(folder: str, result: CheckResult) -> None:
    """Write the result as JSON, whole or not at all."""
    target = Path(folder) / OUTCOME
    scratch = target.with_suffix(".part")
    scratch.write_text(json.dumps(result.to_dict(), allow_nan=False), encoding="utf-8")
    scratch.replace(target)
