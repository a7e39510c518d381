"""What is said to people on stderr: an action in a few words, an error in one line."""

import math
from collections.abc import Mapping
from typing import Any


def first_line(error: BaseException) -> str:
    """An error as one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def told(action: str, detail: Mapping[str, Any]) -> str:
    """What was done to a step, and why."""
    tensors = ", ".join(detail.get("tensors", [])[:2])
    if action == "skip":
        return f"skipped, the gradient or the loss is not finite{f' ({tensors})' if tensors else ''}"
    if action == "hold":
        return f"held back, the first gradient has norm {detail.get('grad_norm', math.nan):.3g}"
    if action == "clip":
        return f"gradient clipped from norm {detail['grad_norm']:.3g} by {detail['coefficient']:.3g}"
    if action == "lower-lr":
        return f"learning rate lowered to {detail['factor']:.3g} of the script's ({detail['reason']})"
    return action.replace("-", " ")
