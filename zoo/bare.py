"""Runs a script as `python SCRIPT ARGS` would, and writes loss and gradient norm of each optimizer step.

Of a script without an optimizer, the losses that it differentiates.

python zoo/bare.py OUT.json SCRIPT [ARGS...]

It shares no code with the tool that is measured.
"""

import json
import math
import runpy
import sys
from pathlib import Path
from typing import Any


def record(path: Path, script: str, args: list[str]) -> None:
    """Run a script as `python script args` would, and write what it trains with."""
    import torch
    from torch.optim.optimizer import register_optimizer_step_pre_hook

    pending: list[torch.Tensor] = []
    by_grad: list[torch.Tensor] = []
    places: dict[int, int] = {}
    counts: dict[int, int] = {}
    rows: list[dict[str, Any]] = []
    differentiated: list[torch.Tensor] = []
    original, scale = torch.autograd.backward, torch.amp.GradScaler.scale
    unscaled: dict[int, tuple[torch.Tensor, torch.Tensor]] = {}

    def scale_loss(scaler: Any, outputs: Any) -> Any:
        scaled = scale(scaler, outputs)
        if isinstance(scaled, torch.Tensor):
            unscaled[id(scaled)] = scaled, outputs
        return scaled

    def backward(tensors: Any, *rest: Any, **named: Any) -> None:
        first = tensors if isinstance(tensors, torch.Tensor) else next(iter(tensors))
        if first.numel() == 1:
            _, loss = unscaled.get(id(first), (first, first))
            pending.append(loss.detach().clone())
            differentiated.append(pending[-1])
        return original(tensors, *rest, **named)

    def before_step(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        place = places.setdefault(id(optimizer), len(places))
        step = counts[place] = counts.get(place, -1) + 1
        grads = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        squares = [(g.coalesce().values() if g.is_sparse else g).double().square().sum() for g in grads]
        losses = pending or by_grad  # beside a backward, `autograd.grad` is for a penalty or a product
        loss = sum(float(value) for value in losses) / len(losses) if losses else None
        norm = math.sqrt(sum(float(value) for value in squares))
        rows.append({"optimizer": place, "step": step, "loss": repr(loss) if loss is not None else None})
        rows[-1]["grad_norm"] = repr(norm)
        for each in (pending, by_grad, unscaled):
            each.clear()

    of_leaves = torch.autograd.grad

    def grad(outputs: Any, *rest: Any, **named: Any) -> Any:
        if isinstance(outputs, torch.Tensor) and outputs.numel() == 1:
            by_grad.append(outputs.detach().clone())
            differentiated.append(by_grad[-1])
        return of_leaves(outputs, *rest, **named)

    torch.autograd.backward, torch.autograd.grad = backward, grad
    torch.amp.GradScaler.scale = scale_loss  # type: ignore[method-assign, attr-defined]
    register_optimizer_step_pre_hook(before_step)
    sys.argv = [script, *args]
    try:
        runpy.run_path(script, run_name="__main__")
    finally:
        if not rows:
            losses = map(float, differentiated)
            rows += [{"optimizer": 0, "step": step, "loss": repr(loss)} for step, loss in enumerate(losses)]
        path.write_text(json.dumps(rows))


if __name__ == "__main__":
    record(Path(sys.argv[1]), sys.argv[2], sys.argv[3:])
