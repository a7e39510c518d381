"""What is said to people on stderr: an action in a few words, an error in one line."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .._i18n import later, say
from .._recorded import again

OTHERS = {
    "end-clip-noise": later("the noise of the gradients has a variance again: it is no longer clipped"),
    "end-clip-growth": later("gradients are as small again as before they grew: they are no longer clipped to that"),
    "return-lr": later("learning rate returned to the script's"),
    "restore-buffers": later("buffers restored"),
    "clear-carried-state": later("carried state cleared"),
}
"""Actions that need no number to be told."""


def first_line(error: BaseException) -> str:
    """An error as one short line."""
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0][:300]}"


def told(action: str, detail: Mapping[str, Any]) -> str:
    """What was done to a step, and why."""
    if action == "skip":
        tensors = ", ".join(detail.get("tensors", [])[:2])
        if tensors:
            return say("skipped, the gradient or the loss is not finite ({tensors})", tensors=tensors)
        return say("skipped, the gradient or the loss is not finite")
    if action == "hold":
        return say("held back, the first gradient has norm {norm:.3g}", norm=detail.get("grad_norm", math.nan))
    if action == "clip":
        return say(
            "gradient clipped from norm {norm:.3g} by {coefficient:.3g}",
            norm=detail["grad_norm"],
            coefficient=detail["coefficient"],
        )
    if action == "clip-noise":
        return say(
            "the noise of the gradients has no variance (tail index {index:.2g}): "
            "they are clipped to their median norm",
            index=detail["tail_index"],
        )
    if action == "clip-growth":
        return say(
            "gradients have grown {grew:.3g} times: they are clipped to the norm from before, {norm:.3g} ({reason})",
            grew=detail["grew"],
            norm=detail["norm"],
            reason=again(detail["reason"]),
        )
    if action == "lower-lr":
        return say(
            "learning rate lowered to {factor:.3g} of the script's ({reason})",
            factor=detail["factor"],
            reason=again(detail["reason"]),
        )
    if action == "undo":
        if "first_norm" in detail:
            return say(
                "left out, the first gradient was out of scale: {first:.3g}, now {now:.3g}",
                first=detail["first_norm"],
                now=detail["grad_norm"],
            )
        return say(
            "left out, the step before has moved the weights by {ratio:.3g} of their size", ratio=detail["update_ratio"]
        )
    if action in ("repair", "undo-repair", "repair-held"):
        return f"{action} {detail['remedy']}"
    if action == "roll-back":
        return say("rolled back to step {step} ({reason})", step=detail["to"], reason=again(detail["reason"]))
    return say(OTHERS.get(action, action.replace("-", " ")))


def stop_message(step: int, detail: Mapping[str, Any], where: str, run: Path | None) -> str:
    """What `TrainingDiverged` says: what, where, since when, what was tried, and where to read on."""
    lines = [say("training was stopped at step {step}: {reason}", step=step, reason=again(detail["reason"]))]
    began = {"step": detail["since"], "detector": detail["detector"]}
    if where:
        lines.append(say("since step {step}: {detector}, first seen in {where}", where=where, **began))
    else:
        lines.append(say("since step {step}: {detector}", **began))
    counts = {name: detail["tried"].count(name) for name in detail["tried"]}
    tried = ", ".join(f"{name} ({count}x)" if count > 1 else name for name, count in counts.items())
    lines.append(say("tried without success: {tried}", tried=tried or say("leaving steps out")))
    if "to" in detail:
        lines.append(
            say(
                "model and optimizer are as they were at step {step}, the last state known to be sound",
                step=detail["to"],
            )
        )
    if run is not None:
        lines.append(say("the run is recorded: steadygrad report {run}", run=run))
    return lines[0] + "\n  " + "\n  ".join(lines[1:])
