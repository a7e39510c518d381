"""What is said to people on stderr: an action in a few words, an error in one line."""

import math
from collections.abc import Mapping
from pathlib import Path
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
    if action == "undo":
        if "first_norm" in detail:
            first, now = detail["first_norm"], detail["grad_norm"]
            return f"left out, the first gradient was out of scale: {first:.3g}, now {now:.3g}"
        return f"left out, the step before has moved the weights by {detail['update_ratio']:.3g} of their size"
    if action == "rescale-init":
        return f"weights of {detail['layers']} layers rescaled, they amplified the first batch"
    if action == "roll-back":
        return f"rolled back to step {detail['to']} ({detail['reason']})"
    return action.replace("-", " ")


def stop_message(step: int, detail: Mapping[str, Any], where: str, run: Path | None) -> str:
    """What `TrainingDiverged` says: what, where, since when, what was tried, and where to read on."""
    lines = [f"training was stopped at step {step}: {detail['reason']}"]
    lines.append(f"since step {detail['since']}: {detail['detector']}" + (f", first seen in {where}" if where else ""))
    tried = ", ".join(dict.fromkeys(detail["tried"])) or "leaving steps out"
    counts = {name: detail["tried"].count(name) for name in detail["tried"]}
    if counts:
        tried = ", ".join(f"{name} ({count}x)" if count > 1 else name for name, count in counts.items())
    lines.append(f"tried without success: {tried}")
    if "to" in detail:
        lines.append(f"model and optimizer are as they were at step {detail['to']}, the last state known to be sound")
    if run is not None:
        lines.append(f"the run is recorded: steadygrad report {run}")
    return "; ".join(lines[:1]) + "\n  " + "\n  ".join(lines[1:])
